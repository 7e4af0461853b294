// What the client never does: paths, limits, a Redis that goes away, and what is logged.

import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TOKEN, startDoor, startRedis } from "./servers.mjs";

let server, door;
const authorization = `Bearer ${TOKEN}`;

before(async () => {
  server = await startRedis();
  door = await startDoor(server, "all");
});
after(async () => {
  await door?.stop();
  await server?.stop();
});

async function ask(path, options = {}) {
  const response = await fetch(door.url + path, { headers: { authorization }, ...options });
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  return [response.status, await response.json()];
}
const post = (path, body) => ask(path, { method: "POST", body });

test("a path is a command", async () => {
  assert.deepEqual(await ask("/set/foo/bar"), [200, { result: "OK" }]);
  assert.deepEqual(await ask("/get/foo"), [200, { result: "bar" }]);
  assert.deepEqual(await post("/set/a%2Fb?EX=100", "a body, as it is: \u00fc"), [200, { result: "OK" }]);
  assert.deepEqual(await ask("/get/a%2Fb"), [200, { result: "a body, as it is: \u00fc" }]);
  const [, { result: ttl }] = await ask("/ttl/a%2Fb");
  assert(ttl > 90 && ttl <= 100);
  assert.equal((await ask("/incr/foo"))[0], 400);
});

test("numbers, booleans and null become text, and arrays do not", async () => {
  const [status, { result }] = await post("", JSON.stringify(["EVAL", "return ARGV", 0, 1, -2.5, true, false, null, "s"]));
  assert.deepEqual([status, result], [200, ["1", "-2.5", "true", "false", "null", "s"]]);
  for (const body of ['["SET","k",["v"]]', '["SET","k",{}]', "{}", "[]", "", "nonsense", '"GET"']) {
    const [status, { error }] = await post("", body);
    assert.equal(status, 400, body);
    assert.match(error, /^ERR /);
  }
});

test("bodies go up to a mebibyte", async () => {
  const command = (length) => {
    const frame = JSON.stringify(["STRLEN", ""]).length;
    return JSON.stringify(["STRLEN", "x".repeat(length - frame)]);
  };
  assert.deepEqual(await post("", command(1 << 20)), [200, { result: 0 }]);
  const [status, { error }] = await post("", command((1 << 20) + 1));
  assert.equal(status, 413);
  assert.match(error, /^ERR .*1048576/);
});

test("core keeps its own limit, and does not know the door", async () => {
  const url = `${door.origin}/v1/devices/device-fp-8f3a2c1d/sessions`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify({ routing: { a: "x".repeat(20_000) } }) });
  assert.equal(response.status, 413);
  assert.equal((await response.json()).code, "body_too_large");
  const openapi = await (await fetch(`${door.origin}/openapi.json`)).text();
  assert(!openapi.includes("/redis"));
  assert.equal((await fetch(`${door.origin}/redisx`, { headers: { authorization } })).status, 404);
});

test("other methods are not known", async () => {
  for (const [method, path] of [["GET", ""], ["GET", "/pipeline"], ["PUT", ""], ["DELETE", "/get/foo"]]) {
    const [status, { error }] = await ask(path, { method });
    assert.equal(status, 405);
    assert.match(error, /^ERR /);
  }
});

test("a line for every request, without keys, values and tokens", async () => {
  await ask("/set/a-secret-key/a-secret-value?_token=a-secret-token");
  await ask("/set/a-secret-key/a-secret-value");
  await post("", JSON.stringify(["GET", "a-secret-key"]));
  await post("", JSON.stringify(["a-secret-key"]));
  await post("/pipeline", JSON.stringify([["GET", "a-secret-key"], ["PING"], ["PING"]]));
  // Lines are written a little after the answer.
  const deadline = Date.now() + 5000;
  let line;
  while (!(line = door.log.map((text) => JSON.parse(text)).find(({ kind, commands }) => kind === "pipeline" && commands === 3))) {
    assert(Date.now() < deadline, door.log.join("\n"));
    await sleep(10);
  }
  assert.deepEqual([line.route, line.status], ["/redis", 200]);
  const lines = door.log.join("\n");
  assert(!lines.includes("a-secret") && !lines.includes(TOKEN), lines);
});

test("a Redis that goes away is a fault of the server, and comes back", async () => {
  let redis = await startRedis();
  const alone = await startDoor(redis, "all");
  const ping = () => fetch(alone.url, { method: "POST", headers: { authorization }, body: '["PING"]' });
  try {
    assert.equal((await ping()).status, 200);
    await redis.stop();
    for (let i = 0; i < 3; i += 1) {
      const response = await ping();
      assert([502, 503].includes(response.status), `${response.status}`);
      assert.match((await response.json()).error, /^ERR /);
    }
    redis = await startRedis(redis.port);
    const deadline = Date.now() + 10_000;
    while ((await ping()).status !== 200) assert(Date.now() < deadline, "Redis is back, the door is not");
  } finally {
    await alone.stop();
    await redis.stop();
  }
});

// The door as it is by default: guestpass's own scripts and PING, and an error that the client understands for
// everything else.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Redis, errors } from "@upstash/redis";

import { script } from "./guestpass-scripts.mjs";
import { TOKEN, startDoor, startRedis } from "./servers.mjs";

const { UpstashError } = errors;
let server, door, redis, behind, open;

before(async () => {
  server = await startRedis();
  door = await startDoor(server);
  redis = new Redis({ url: door.url, token: TOKEN, retry: false });
  open = await startDoor(server, "all");
  behind = new Redis({ url: open.url, token: TOKEN, retry: false });
});
after(async () => {
  await door?.stop();
  await open?.stop();
  await server?.stop();
});

const failsWith = (pattern) => (error) => {
  assert(error instanceof UpstashError, `${error}`);
  assert.match(error.message.replace("Command failed: ", ""), pattern);
  return true;
};

const keys = ["t:due", "t:flights", "t:outbox", "t:ages", "t:stuck", "t:stats", "t:cool"];
const args = ["1767225600000"];

test("guestpass's scripts run by digest once they are loaded", async () => {
  const { source, sha1 } = script("stats");
  await behind.scriptFlush();
  await assert.rejects(redis.evalsha(sha1, keys, args), failsWith(/^NOSCRIPT /));
  const whole = await redis.eval(source, keys, args);
  assert(Array.isArray(whole) && whole.length > 0);
  assert.deepEqual(await redis.evalsha(sha1, keys, args), whole);
  await behind.scriptFlush();
  assert.equal(await redis.scriptLoad(source), sha1);
  assert.deepEqual(await redis.scriptExists(sha1), [1]);
  assert.deepEqual(await redis.evalsha(sha1, keys, args), whole);
  assert.deepEqual(await redis.createScript(source).exec(keys, args), whole);
});

test("guestpass's scripts run in pipelines and transactions", async () => {
  const { source, sha1 } = script("stats");
  const whole = await redis.eval(source, keys, args);
  assert.deepEqual(await redis.pipeline().ping().evalsha(sha1, keys, args).exec(), ["PONG", whole]);
  assert.deepEqual(await redis.multi().evalsha(sha1, keys, args).ping().exec(), [whole, "PONG"]);
});

test("other scripts do not run, known to Redis or not", async () => {
  const foreign = await behind.scriptLoad("return 'foreign'");
  assert.equal(await behind.evalsha(foreign, [], []), "foreign");
  await assert.rejects(redis.evalsha(foreign, [], []), failsWith(/^NOSCRIPT /));
  await assert.rejects(redis.eval("return 'foreign'", [], []), failsWith(/^NOPERM /));
  await assert.rejects(redis.eval(`${script("stats").source}\n`, keys, args), failsWith(/^NOPERM /));
  await assert.rejects(redis.scriptLoad("return 'foreign'"), failsWith(/^NOPERM /));
  await assert.rejects(redis.scriptFlush(), failsWith(/^NOPERM /));
});

test("every other command is refused", async () => {
  await behind.set("k", "v");
  for (const call of [
    () => redis.get("k"),
    () => redis.set("k", "w"),
    () => redis.del("k"),
    () => redis.keys("*"),
    () => redis.scan(0),
    () => redis.hgetall("k"),
    () => redis.hset("h", { a: 1 }),
    () => redis.zrange("z", 0, -1),
    () => redis.zadd("z", { score: 1, member: "m" }),
    () => redis.flushall(),
    () => redis.flushdb(),
    () => redis.dbsize(),
    () => redis.publish("c", "m"),
    () => redis.exec(["CONFIG", "GET", "*"]),
    () => redis.exec(["INFO"]),
    () => redis.exec(["ACL", "WHOAMI"]),
    () => redis.exec(["MULTI"]),
    () => redis.exec(["EVAL_RO", "return 1", 0]),
    () => redis.exec(["FCALL", "f", 0]),
    () => redis.exec(["NOSUCH"]),
  ]) {
    await assert.rejects(call(), failsWith(/^NOPERM /), `${call}`);
  }
  const { url } = door;
  const byPath = await fetch(`${url}/get/k`, { headers: { authorization: `Bearer ${TOKEN}` } });
  assert.equal(byPath.status, 400);
  assert.match((await byPath.json()).error, /^NOPERM /);
  assert.equal(await behind.get("k"), "v");
});

test("a refused command runs nothing of its transaction, and only itself of its pipeline", async () => {
  await behind.scriptFlush();
  const { source, sha1 } = script("stats");
  const load = (batch) => batch.exec({ keepErrors: true });
  await assert.rejects(load(redis.multi().scriptLoad(source).set("k", "w")), failsWith(/^NOPERM /));
  assert.deepEqual(await redis.scriptExists(sha1), [0]);
  const [loaded, set] = await load(redis.pipeline().scriptLoad(source).set("k", "w"));
  assert.equal(loaded.result, sha1);
  assert.match(set.error, /^NOPERM /);
});

test("the token is needed here, too", async () => {
  const stranger = new Redis({ url: door.url, token: "wrong", retry: false });
  await assert.rejects(stranger.ping(), failsWith(/^WRONGPASS /));
  await assert.rejects(stranger.evalsha(script("stats").sha1, keys, args), failsWith(/^WRONGPASS /));
  assert.equal((await fetch(door.url, { method: "POST", body: '["PING"]' })).status, 401);
});

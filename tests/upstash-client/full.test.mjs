// The door that is open for every command, used through Upstash's own client.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { Redis, errors } from "@upstash/redis";

import { script } from "./guestpass-scripts.mjs";
import { TOKEN, startDoor, startRedis } from "./servers.mjs";

const { UpstashError } = errors;
let server, door, redis;

before(async () => {
  server = await startRedis();
  door = await startDoor(server, "all");
  redis = new Redis({ url: door.url, token: TOKEN, retry: false });
});
after(async () => {
  await door?.stop();
  await server?.stop();
});
beforeEach(() => redis.flushall());

const failsWith = (pattern) => (error) => {
  assert(error instanceof UpstashError, `${error}`);
  assert.match(error.message.replace("Command failed: ", ""), pattern);
  return true;
};

test("strings", async () => {
  assert.equal(await redis.ping(), "PONG");
  assert.equal(await redis.set("k", "v"), "OK");
  assert.equal(await redis.get("k"), "v");
  assert.equal(await redis.get("absent"), null);
  assert.equal(await redis.set("k", "w", { nx: true }), null);
  assert.equal(await redis.set("k", "w", { xx: true, ex: 100, get: true }), "v");
  assert((await redis.ttl("k")) > 90);
  assert.equal(await redis.append("k", "xyz"), 4);
  assert.equal(await redis.incrby("n", 41), 41);
  assert.equal(await redis.incr("n"), 42);
  assert.equal(await redis.incrbyfloat("n", 0.5), 42.5);
  assert.equal(await redis.mset({ a: 1, b: "two", c: { three: [3] } }), "OK");
  assert.deepEqual(await redis.mget("a", "b", "c", "d"), [1, "two", { three: [3] }, null]);
  assert.equal(await redis.exists("a", "b", "d"), 2);
  assert.equal(await redis.del("a", "b"), 2);
  assert.equal(await redis.type("c"), "string");
  assert.deepEqual((await redis.scan(0, { match: "[cn]", count: 1000 }))[1].sort(), ["c", "n"]);
});

test("a value that reads OK is not taken for a status", async () => {
  await redis.set("k", "OK");
  assert.equal(await redis.get("k"), "OK");
  assert.deepEqual(await redis.mget("k", "k"), ["OK", "OK"]);
  assert.deepEqual(await redis.eval("return {redis.status_reply('OK'), {'OK'}}", [], []), ["OK", ["OK"]]);
});

test("hashes", async () => {
  assert.equal(await redis.hset("h", { a: "1", b: "text", c: true }), 3);
  assert.equal(await redis.hget("h", "b"), "text");
  assert.deepEqual(await redis.hgetall("h"), { a: 1, b: "text", c: true });
  assert.equal(await redis.hgetall("absent"), null);
  assert.deepEqual(await redis.hmget("h", "a", "zz"), { a: 1, zz: null });
  assert.equal(await redis.hincrby("h", "a", 5), 6);
  assert.equal(await redis.hdel("h", "b"), 1);
  assert.equal(await redis.hlen("h"), 2);
  assert.deepEqual((await redis.hkeys("h")).sort(), ["a", "c"]);
});

test("sorted sets", async () => {
  const added = await redis.zadd("z", { score: 1.5, member: "a" }, { score: 2, member: "b" }, { score: 3, member: "c" });
  assert.equal(added, 3);
  assert.equal(await redis.zscore("z", "a"), 1.5);
  assert.equal(await redis.zscore("z", "absent"), null);
  assert.deepEqual(await redis.zrange("z", 0, -1), ["a", "b", "c"]);
  assert.deepEqual(await redis.zrange("z", 0, 1, { rev: true, withScores: true }), ["c", 3, "b", 2]);
  assert.deepEqual(await redis.zrange("z", "(1.5", "+inf", { byScore: true }), ["b", "c"]);
  assert.equal(await redis.zrank("z", "c"), 2);
  assert.equal(await redis.zincrby("z", 10, "a"), 11.5);
  assert.deepEqual(await redis.zpopmin("z"), ["b", 2]);
  assert.equal(await redis.zcard("z"), 2);
  assert.equal(await redis.zremrangebyscore("z", "-inf", "+inf"), 2);
});

test("lists and streams, without waiting", async () => {
  assert.equal(await redis.rpush("l", "a", "b", "c"), 3);
  assert.deepEqual(await redis.lrange("l", 0, -1), ["a", "b", "c"]);
  const id = await redis.xadd("s", "*", { field: "value" });
  assert.match(id, /^\d+-\d+$/);
  assert.deepEqual(await redis.xrange("s", "-", "+"), { [id]: { field: "value" } });
});

test("scripts by source and by digest", async () => {
  const source = "return {KEYS[1], ARGV[1], #ARGV, false, {1, 'two', {3}}}";
  const expected = ["k", "x", 2, null, [1, "two", [3]]];
  assert.deepEqual(await redis.eval(source, ["k"], ["x", "y"]), expected);
  const sha1 = await redis.scriptLoad(source);
  assert.match(sha1, /^[0-9a-f]{40}$/);
  assert.deepEqual(await redis.evalsha(sha1, ["k"], ["x", "y"]), expected);
  assert.deepEqual(await redis.scriptExists(sha1, "f".repeat(40)), [1, 0]);
  assert.equal(await redis.scriptFlush(), "OK");
  await assert.rejects(redis.evalsha(sha1, [], []), failsWith(/^NOSCRIPT /));
  assert.deepEqual(await redis.createScript(source).exec(["k"], ["x", "y"]), expected);
  assert.deepEqual(await redis.createScript(source).exec(["k"], ["x", "y"]), expected);
  await assert.rejects(redis.eval("return redis.error_reply('MINE says no')", [], []), failsWith(/^MINE says no/));
  await assert.rejects(redis.eval("syntax error", [], []), failsWith(/^ERR Error compiling script/));
});

test("guestpass's scripts", async () => {
  const { source, sha1 } = script("stats");
  assert.equal(await redis.scriptLoad(source), sha1);
});

test("a pipeline gives each command its own result", async () => {
  const results = await redis.pipeline().set("k", "v").get("k").incr("n").mget("k", "absent").exec();
  assert.deepEqual(results, ["OK", "v", 1, ["v", null]]);
  const mixed = await redis.pipeline().set("k", "text").incr("k").get("k").exec({ keepErrors: true });
  assert.deepEqual(mixed.map(({ result }) => result), ["OK", undefined, "text"]);
  assert.match(mixed[1].error, /^ERR value is not an integer/);
  await assert.rejects(redis.pipeline().set("k", "text").incr("k").exec(), failsWith(/Command 2 \[ incr \] failed: ERR/));
  const auto = new Redis({ url: door.url, token: TOKEN, enableAutoPipelining: true });
  assert.deepEqual(await Promise.all([auto.set("p", 1), auto.incr("p"), auto.get("p")]), ["OK", 2, 2]);
});

test("what may not be used does not spoil the rest of a pipeline", async () => {
  const raw = await fetch(`${door.url}/pipeline`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify([["SET", "k", "v"], ["MULTI"], ["BLPOP", "l", 0], ["GET", "k"]]),
  });
  assert.equal(raw.status, 200);
  const [set, multi, blpop, get] = await raw.json();
  assert.deepEqual([set, get], [{ result: "OK" }, { result: "v" }]);
  assert.match(multi.error, /^ERR MULTI .*multi-exec/);
  assert.match(blpop.error, /^ERR BLPOP .*blocks/);
});

test("a transaction runs whole", async () => {
  const results = await redis.multi().set("k", "v").incr("n").get("k").exec();
  assert.deepEqual(results, ["OK", 1, "v"]);
});

test("a command that fails in a transaction leaves the others done", async () => {
  const mixed = await redis.multi().set("k", "text").incr("k").set("done", 1).exec({ keepErrors: true });
  assert.deepEqual(mixed.map(({ result }) => result), ["OK", undefined, "OK"]);
  assert.match(mixed[1].error, /^ERR value is not an integer/);
  assert.equal(await redis.get("done"), 1);
});

test("a transaction that cannot be queued does nothing at all", async () => {
  const wrong = redis.multi().set("k", "v");
  wrong.mget(); // No key: Redis refuses to queue it.
  await assert.rejects(wrong.exec(), failsWith(/^EXECABORT .*wrong number of arguments/));
  assert.equal(await redis.get("k"), null);
  const response = await fetch(`${door.url}/multi-exec`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify([["SET", "k", "v"], ["WATCH", "k"]]),
  });
  assert.equal(response.status, 400);
  assert.match((await response.json()).error, /^ERR WATCH /);
  assert.equal(await redis.get("k"), null);
});

test("nobody comes between the commands of a transaction", async () => {
  // Longer than what Redis reads from a connection at once, and from two connections.
  const second = await startDoor(server, "all");
  try {
    const other = new Redis({ url: second.url, token: TOKEN });
    const pad = "x".repeat(60_000);
    const one = async (client, mine) => {
      const [first, , , last] = await client.multi().incr("n").set(`${mine}a`, pad).set(`${mine}b`, pad).incr("n").exec();
      assert.equal(last, first + 1);
    };
    const all = Array.from({ length: 120 }, (_, i) => one(i % 2 ? redis : other, `pad${i % 2}`));
    await Promise.all(all);
    assert.equal(await redis.get("n"), 240);
  } finally {
    await second.stop();
  }
});

test("values keep every character", async () => {
  const values = ["grüße 👋 \u{10ffff}", "\u0000\u0001\n\r\t\"\\/", "", " ", "null-ish", "é".normalize("NFD"), "{\"not json"];
  for (const value of values) {
    await redis.set("k", value);
    assert.equal(await redis.get("k"), value);
  }
  const plain = new Redis({ url: door.url, token: TOKEN, automaticDeserialization: false });
  for (const value of ["123456789012345678901234567890", "null", "true", "[1]", "1.0", "OK"]) {
    await plain.set("k", value);
    assert.equal(await plain.get("k"), value);
  }
  const long = "ß".repeat(200_000);
  await redis.set("k", long);
  assert.equal(await redis.get("k"), long);
});

test("bytes that are not text survive in base64 and are replaced without", async () => {
  await redis.eval("redis.call('SET', KEYS[1], '\\255\\0a\\195\\188')", ["k"], []);
  const ask = async (headers) => {
    const response = await fetch(door.url, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      body: JSON.stringify(["GET", "k"]),
    });
    return (await response.json()).result;
  };
  assert.deepEqual([...Buffer.from(await ask({ "upstash-encoding": "base64" }), "base64")], [255, 0, 97, 195, 188]);
  assert.equal(await ask({}), "\ufffd\u0000aü");
  const text = new Redis({ url: door.url, token: TOKEN, responseEncoding: false });
  assert.equal(await text.get("k"), "\ufffd\u0000aü");
  assert.equal(await text.set("k", "v"), "OK");
});

test("errors are those of Redis", async () => {
  await redis.set("k", "v");
  await assert.rejects(redis.lpush("k", "x"), failsWith(/^WRONGTYPE Operation against a key/));
  await assert.rejects(redis.exec(["NOSUCH", "x"]), failsWith(/^ERR unknown command 'NOSUCH'/));
  await assert.rejects(redis.exec(["GET"]), failsWith(/^ERR wrong number of arguments for 'get' command/));
});

test("what would spoil the shared connection is refused", async () => {
  for (const command of [
    ["MULTI"], ["EXEC"], ["WATCH", "k"], ["DISCARD"], ["SELECT", 1], ["AUTH", "x"], ["HELLO", 3], ["QUIT"], ["RESET"],
    ["MONITOR"], ["SUBSCRIBE", "c"], ["BLPOP", "l", 0], ["XREAD", "BLOCK", 0, "STREAMS", "s", "$"], ["WAIT", 1, 0],
    ["CLIENT", "REPLY", "OFF"], ["CLIENT", "KILL", "TYPE", "normal"], ["SHUTDOWN"], ["DEBUG", "SLEEP", 1],
  ]) {
    await assert.rejects(redis.exec(command), failsWith(/^ERR [A-Z]+ is not available over REST: /));
  }
  assert.equal(await redis.ping(), "PONG");
});

test("a wrong token opens nothing", async () => {
  for (const token of ["wrong", `${TOKEN}x`, TOKEN.slice(1)]) {
    const stranger = new Redis({ url: door.url, token, retry: false });
    await assert.rejects(stranger.set("k", "v"), failsWith(/^WRONGPASS /));
    await assert.rejects(stranger.pipeline().set("k", "v").exec(), failsWith(/^WRONGPASS /));
    await assert.rejects(stranger.multi().set("k", "v").exec(), failsWith(/^WRONGPASS /));
  }
  const inUrl = await fetch(`${door.url}/set/k/v?_token=${TOKEN}`);
  assert.equal(inUrl.status, 401);
  assert.equal(await redis.get("k"), null);
});

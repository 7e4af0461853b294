// What an invocation costs: calls to Redis and to Genesys, each of which is a subrequest of the Worker. The calls
// that are allowed are let through and no more, so that one too many before the answer would fail it.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { eventually, OPERATOR, startStack } from "./stack.mjs";

let stack;

before(async () => {
  stack = await startStack();
  // Redis knows the scripts from now on.
  const worker = await stack.worker();
  await fill(worker);
});

after(() => stack?.stop());

afterEach(() => {
  stack.counter.left = Infinity;
});

/** Issues until the device is full and one session was evicted and revoked. */
async function fill(worker) {
  for (let n = 0; n < 4; n++) assert.equal((await worker.issue("device-full")).status, 201);
  await drained(worker);
}

/** Waits until the work after the last answer is done: it calls Redis, too. */
async function drained(worker) {
  await eventually("the drain", async () => (await worker.operator("/v1/stats")).gauges.pendingRevocations === 0);
}

/** Makes a request that may call Redis so often. Answers how often it called Genesys. */
async function within(redis, status, request) {
  const genesys = async () => [await stack.called("token"), await stack.called("create")];
  const [tokens, creates] = await genesys();
  stack.counter.left = redis;
  const answer = await request();
  const body = await answer.text();
  assert.equal(answer.status, status, body);
  stack.counter.left = Infinity;
  const [tokensNow, createsNow] = await genesys();
  return { token: tokensNow - tokens, create: createsNow - creates, body: body && JSON.parse(body) };
}

test("an issue at a full device on a warm isolate: two calls to Redis and one to Genesys", async () => {
  const worker = await stack.worker();
  await fill(worker);
  const { token, create, body } = await within(2, 201, () => worker.issue("device-full"));
  assert.deepEqual({ token, create, evicted: body.evicted }, { token: 0, create: 1, evicted: 1 });
});

test("two more on a cold isolate", async () => {
  const prefix = { REDIS_KEY_PREFIX: "cold:" };
  await fill(await stack.worker(prefix));
  const cold = await stack.worker(prefix);
  const { token, create, body } = await within(3, 201, () => cold.issue("device-full"));
  assert.deepEqual({ token, create, evicted: body.evicted }, { token: 1, create: 1, evicted: 1 });
});

test("two more on a cold isolate that may share an access token and finds none", async () => {
  const settings = { REDIS_KEY_PREFIX: "first:", TOKEN_SEALING_KEY: Buffer.alloc(32, 7).toString("base64") };
  await fill(await stack.worker(settings));
  await eventually("the shared token", () => stack.redis("GET", "first::token"));
  await stack.redis("DEL", "first::token");
  const cold = await stack.worker(settings);
  const { token, create, body } = await within(3, 201, () => cold.issue("device-full"));
  assert.deepEqual({ token, create, evicted: body.evicted }, { token: 1, create: 1, evicted: 1 });
});

test("one more on a cold isolate where another has shared its access token", async () => {
  const shared = { REDIS_KEY_PREFIX: "shared:", TOKEN_SEALING_KEY: Buffer.alloc(32, 7).toString("base64") };
  await fill(await stack.worker(shared));
  const kept = await eventually("the shared token", () => stack.redis("GET", "shared::token"));
  assert.ok(!kept.includes("Bearer"));
  const cold = await stack.worker(shared);
  const { token, create, body } = await within(3, 201, () => cold.issue("device-full"));
  assert.deepEqual({ token, create, evicted: body.evicted }, { token: 0, create: 1, evicted: 1 });
});

test("every other call needs one call to Redis", async () => {
  const worker = await stack.worker();
  const key = { headers: { "idempotency-key": "one" } };
  const session = await (await worker.issue("device-one", key)).json();
  const guest = { headers: { authorization: `Bearer ${session.guestToken}` } };
  const path = "/v1/devices/device-one/sessions";
  const calls = [
    [201, () => worker.issue("device-one", key)],
    [200, () => worker.fetch(`${path}/${session.guestId}/renew`, { method: "POST", ...guest })],
    [200, () => worker.fetch(path, OPERATOR)],
    [200, () => worker.fetch("/v1/revocations", OPERATOR)],
    [200, () => worker.fetch("/v1/stats", OPERATOR)],
    [200, () => worker.fetch("/readyz")],
  ];
  for (const [status, call] of calls) {
    await call().then((answer) => answer.text()); // Redis learns the script.
    const { token, create } = await within(1, status, call);
    assert.deepEqual({ token, create }, { token: 0, create: 0 });
  }
  const end = ({ guestId, guestToken }) =>
    worker.fetch(`${path}/${guestId}`, { method: "DELETE", headers: { authorization: `Bearer ${guestToken}` } });
  const second = await (await worker.issue("device-one")).json();
  assert.equal((await end(second)).status, 202); // Redis learns the script.
  await drained(worker);
  await within(1, 202, () => end(session));
});

test("a sweep that finds nothing needs two calls to Redis", async () => {
  const worker = await stack.worker();
  await worker.sweep();
  const calls = stack.counter.calls;
  assert.equal((await worker.sweep()).outcome, "ok");
  assert.equal(stack.counter.calls - calls, 2);
});

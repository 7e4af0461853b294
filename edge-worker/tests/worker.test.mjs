// The Worker in real workerd, over a real Redis, with the simulator as Genesys.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DOOR_TOKEN, eventually, startDoor, startRedis, startSim, startWorker, variables } from "./stack.mjs";

let redis, door, sim, worker;
const started = [];
const start = async (what) => (started.push(await what), started.at(-1));

before(async () => {
  redis = await start(startRedis());
  sim = await start(startSim());
  door = await start(startDoor(redis.port));
  worker = await start(startWorker(variables(door, sim)));
});

after(async () => {
  for (const one of started.reverse()) await one.stop();
});

const issue = (device, init = {}, host = worker) =>
  host.fetch(`/v1/devices/${device}/sessions`, { method: "POST", ...init });

const operator = { headers: { authorization: "Bearer operator" } };

const invalidated = async () => {
  const ledger = await sim.ledger();
  return ledger.guests.filter((guest) => guest.invalidatedAtMs.length > 0);
};

test("an issue answers 201 and a session", async () => {
  const answer = await issue("device-one");
  const session = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(session));
  assert.ok(session.guestId && session.guestToken);
  assert.equal(session.evicted, 0);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.ok(answer.headers.get("x-request-id"));
});

test("the fourth session evicts the first, which is revoked after the answer", async () => {
  const sessions = [];
  for (let n = 0; n < 4; n++) {
    sessions.push(await (await issue("device-two")).json());
  }
  assert.deepEqual(sessions.map((session) => session.evicted), [0, 0, 0, 1]);
  const first = sessions[0].guestId;
  await eventually("the revocation", async () => (await invalidated()).some((guest) => guest.id === first));
  const listed = await (await worker.fetch("/v1/devices/device-two/sessions", operator)).json();
  assert.deepEqual(listed.sessions.map((session) => session.guestId), sessions.slice(1).map((session) => session.guestId));
});

test("a warm isolate needs two calls to Redis and one to Genesys at a full device", async () => {
  for (let n = 0; n < 3; n++) await issue("device-warm");
  await issue("device-warm");
  await eventually("the drain", async () => (await (await worker.fetch("/v1/stats", operator)).json()).gauges.pendingRevocations === 0);
  const calls = door.calls.length;
  const tokens = (await sim.ledger("?kind=token")).calls.length;
  const creates = (await sim.ledger("?kind=create")).calls.length;
  assert.equal((await issue("device-warm")).status, 201);
  const before = door.calls.slice(calls);
  assert.deepEqual(before.slice(0, 2), ["EVALSHA", "EVALSHA"]);
  assert.equal((await sim.ledger("?kind=token")).calls.length, tokens);
  assert.equal((await sim.ledger("?kind=create")).calls.length, creates + 1);
});

test("the cron trigger expires sessions and revokes them without traffic", async () => {
  const brief = await start(startWorker(variables(door, sim, { SESSION_TTL_SECONDS: "1", REDIS_KEY_PREFIX: "brief:" })));
  const session = await (await issue("device-brief", {}, brief)).json();
  await new Promise((later) => setTimeout(later, 1100));
  const { outcome } = await brief.sweep();
  assert.equal(outcome, "ok");
  assert.ok((await invalidated()).some((guest) => guest.id === session.guestId));
});

test("a wrong configuration answers 500 and names every variable and no value", async () => {
  const wrong = await start(startWorker({ GENESYS_REGION: "s3cret.example", MAX_SESSIONS_PER_DEVICE: "none", UPSTASH_REDIS_REST_TOKEN: "s3cret" }));
  for (let n = 0; n < 2; n++) {
    const answer = await issue("device-one", {}, wrong);
    const problem = await answer.json();
    assert.equal(answer.status, 500);
    assert.equal(problem.code, "internal");
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    for (const name of ["GENESYS_REGION", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "MAX_SESSIONS_PER_DEVICE", "UPSTASH_REDIS_REST_URL"]) {
      assert.ok(problem.detail.includes(name), name);
    }
    assert.ok(!JSON.stringify(problem).includes("s3cret"));
  }
});

test("numbers in [vars] count as text", async () => {
  const one = await start(startWorker(variables(door, sim, { MAX_SESSIONS_PER_DEVICE: 1, REDIS_KEY_PREFIX: "one:" })));
  await issue("device-one", {}, one);
  assert.equal((await (await issue("device-one", {}, one)).json()).evicted, 1);
});

test("bad requests are refused and the next one is answered", async () => {
  const long = "x".repeat(20_000);
  const bad = [
    [400, await issue("short")],
    [413, await issue("device-bad", { body: long })],
    [400, await issue("device-bad", { body: "{", headers: { "content-type": "application/json" } })],
    [415, await issue("device-bad", { body: "{}", headers: { "content-type": "text/plain" } })],
    [404, await worker.fetch("/nowhere?a=|^`{}")],
    [405, await worker.fetch("/v1/sweep", { method: "PROPFIND" })],
    [401, await worker.fetch("/v1/stats", { headers: { authorization: "Bearer \u00ff\u00fe" } })],
  ];
  for (const [status, answer] of bad) {
    assert.equal(answer.status, status, await answer.text());
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
  }
  assert.equal((await issue("device-bad")).status, 201);
});

test("a store that fails is 503, and the next request finds it again", async () => {
  door.fault = (response) => response.destroy();
  const answer = await issue("device-three");
  door.fault = null;
  assert.equal(answer.status, 503, await answer.text());
  assert.equal((await issue("device-three")).status, 201);
});

test("a Genesys that hangs ends at the deadline, and the next request is answered", async () => {
  const quick = await start(startWorker(variables(door, sim, { REQUEST_DEADLINE_MS: "1000", REDIS_KEY_PREFIX: "quick:" })));
  assert.equal((await issue("device-hang", {}, quick)).status, 201);
  await sim.fault({ on: "create", times: 1, effect: { hang: { afterWork: false } } });
  const answer = await issue("device-hang", {}, quick);
  assert.equal(answer.status, 504, await answer.text());
  assert.equal((await issue("device-hang", {}, quick)).status, 201);
});

test("the client address comes from CF-Connecting-IP", async () => {
  const limited = await start(startWorker(variables(door, sim, { RATE_LIMIT_PER_IP: "2", REDIS_KEY_PREFIX: "limited:" })));
  const from = (address, n) => issue(`device-rate-${n}`, { headers: { "CF-Connecting-IP": address } }, limited).then((answer) => answer.status);
  const statuses = [await from("192.0.2.1", 1), await from("192.0.2.1", 2), await from("192.0.2.1", 3), await from("2001:db8::1", 4)];
  assert.deepEqual(statuses, [201, 201, 429, 201]);
});

test("logs are JSON and hold no secret, token or fingerprint", async () => {
  const session = await (await issue("device-logged")).json();
  const lines = await eventually("the log", async () => worker.logs.filter((line) => line.includes('"request"')).length && worker.logs);
  for (const line of lines) {
    assert.doesNotThrow(() => JSON.parse(line), line);
    for (const secret of [session.guestToken, "device-logged", "sim-secret", DOOR_TOKEN, "Bearer"]) {
      assert.ok(!line.includes(secret), line);
    }
  }
});

test("isolates share one access token, sealed", async () => {
  const shared = variables(door, sim, { TOKEN_SEALING_KEY: Buffer.alloc(32, 7).toString("base64"), REDIS_KEY_PREFIX: "shared:" });
  const tokens = async () => (await sim.ledger("?kind=token")).calls.length;
  const before = await tokens();
  const first = await start(startWorker(shared));
  assert.equal((await issue("device-one", {}, first)).status, 201);
  const kept = await eventually("the shared token", async () => (await redis.command(["GET", "shared::token"])).value?.toString());
  assert.ok(!kept.includes("Bearer"));
  const second = await start(startWorker(shared));
  assert.equal((await issue("device-one", {}, second)).status, 201);
  assert.equal((await tokens()) - before, 1);
});

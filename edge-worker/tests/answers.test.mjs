// What a Worker in workerd answers, and what it writes to its log.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DOOR_TOKEN, eventually, startStack } from "./stack.mjs";

let stack, worker;

before(async () => {
  stack = await startStack();
  worker = await stack.worker();
});

after(() => stack?.stop());

test("an issue answers 201 and a session", async () => {
  const answer = await worker.issue("device-one");
  const session = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(session));
  assert.ok(session.guestId && session.guestToken);
  assert.equal(session.evicted, 0);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.ok(answer.headers.get("x-request-id"));
});

test("a wrong configuration answers 500 and names every variable and no value", async () => {
  const wrong = await stack.bare({ GENESYS_REGION: "s3cret.example", MAX_SESSIONS_PER_DEVICE: "none", UPSTASH_REDIS_REST_TOKEN: "s3cret" });
  for (let n = 0; n < 2; n++) {
    const answer = await wrong.issue("device-one");
    const problem = await answer.json();
    assert.equal(answer.status, 500);
    assert.equal(problem.code, "internal");
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    for (const name of ["GENESYS_REGION", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "MAX_SESSIONS_PER_DEVICE", "UPSTASH_REDIS_REST_URL"]) {
      assert.ok(problem.detail.includes(name), name);
    }
    assert.ok(!JSON.stringify(problem).includes("s3cret"));
  }
  await eventually("the log", () => wrong.logs.some((line) => line.includes("misconfigured")));
  assert.ok(!wrong.logs.join("\n").includes("s3cret"), wrong.logs.join("\n"));
});

test("numbers in [vars] count as text", async () => {
  const one = await stack.worker({ MAX_SESSIONS_PER_DEVICE: 1 });
  await one.issue("device-one");
  assert.equal((await (await one.issue("device-one")).json()).evicted, 1);
});

test("bad requests are refused and the next one is answered", async () => {
  const bad = [
    [400, await worker.issue("short")],
    [413, await worker.issue("device-bad", { body: "x".repeat(20_000) })],
    [400, await worker.issue("device-bad", { body: "{", headers: { "content-type": "application/json" } })],
    [415, await worker.issue("device-bad", { body: "{}", headers: { "content-type": "text/plain" } })],
    [404, await worker.fetch("/nowhere?a=|^`{}")],
    [405, await worker.fetch("/v1/sweep", { method: "PROPFIND" })],
    [401, await worker.fetch("/v1/stats", { headers: { authorization: "Bearer \u00ff\u00fe" } })],
  ];
  for (const [status, answer] of bad) {
    assert.equal(answer.status, status, await answer.text());
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
  }
  assert.equal((await worker.issue("device-bad")).status, 201);
});

test("the client address comes from CF-Connecting-IP", async () => {
  const limited = await stack.worker({ RATE_LIMIT_PER_IP: "2" });
  const from = (address, n) => limited.issue(`device-rate-${n}`, { headers: { "CF-Connecting-IP": address } }).then((answer) => answer.status);
  const statuses = [await from("192.0.2.1", 1), await from("192.0.2.1", 2), await from("192.0.2.1", 3), await from("2001:db8::1", 4)];
  assert.deepEqual(statuses, [201, 201, 429, 201]);
});

test("logs are JSON and hold no secret, token or fingerprint", async () => {
  const key = Buffer.alloc(32, 9).toString("base64");
  const logged = await stack.worker({ LOG_LEVEL: "trace", TOKEN_SEALING_KEY: key, FINGERPRINT_KEY: "fingerprint-key", ISSUE_KEYS: "issue-key" });
  const as = { headers: { authorization: "Bearer issue-key" } };
  const sessions = [];
  for (let n = 0; n < 4; n++) sessions.push(await (await logged.issue("device-logged", as)).json());
  await stack.sim.fault({ on: "create", times: 1, effect: { status: { code: 400 } } });
  assert.equal((await logged.issue("device-logged", as)).status, 502);
  assert.equal((await logged.issue("device-logged", { headers: { authorization: "Bearer not-the-key" } })).status, 401);
  await eventually("the log", () => logged.logs.filter((line) => line.includes('"request"')).length >= 6);
  const secrets = [...sessions.map(({ guestToken }) => guestToken), key, "device-logged", "sim-secret", "sim-client", DOOR_TOKEN, "fingerprint-key", "issue-key", "not-the-key", "Bearer", "Basic"];
  for (const line of logged.logs) {
    assert.doesNotThrow(() => JSON.parse(line), line);
    for (const secret of secrets) assert.ok(!line.includes(secret), `${secret} is in ${line}`);
  }
});

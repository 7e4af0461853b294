// What a Worker does when nobody asks: after an answer, and by its cron trigger.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, startStack } from "./stack.mjs";

let stack;

before(async () => {
  stack = await startStack();
});

after(() => stack?.stop());

test("the fourth session evicts the first, which is revoked after the answer without further traffic", async () => {
  const worker = await stack.worker();
  const sessions = [];
  for (let n = 0; n < 4; n++) sessions.push(await (await worker.issue("device-two")).json());
  assert.deepEqual(sessions.map(({ evicted }) => evicted), [0, 0, 0, 1]);
  await eventually("the revocation", async () => (await stack.revoked()).length > 0);
  assert.deepEqual(await stack.revoked(), [sessions[0].guestId]);
  const listed = await worker.operator("/v1/devices/device-two/sessions");
  assert.deepEqual(listed.sessions.map(({ guestId }) => guestId), sessions.slice(1).map(({ guestId }) => guestId));
});

test("the cron trigger expires sessions and revokes them without traffic", async () => {
  const worker = await stack.worker({ SESSION_TTL_SECONDS: "1" });
  const { guestId, expiresAt } = await (await worker.issue("device-brief")).json();
  await eventually("the expiry", () => Date.now() > Date.parse(expiresAt));
  assert.ok(!(await stack.revoked()).includes(guestId));
  assert.equal((await worker.sweep()).outcome, "ok");
  assert.ok((await stack.revoked()).includes(guestId));
});

test("the cron trigger works off what a drain could not", async () => {
  const worker = await stack.worker({ MAX_SESSIONS_PER_DEVICE: "1", REDIS_KEY_PREFIX: "late:" });
  const { guestId } = await (await worker.issue("device-late")).json();
  await stack.sim.fault({ on: "invalidate", times: 1, effect: { status: { code: 503 } } });
  await worker.issue("device-late");
  await eventually("the failed revocation", async () => (await worker.operator("/v1/stats")).counters.revokeFailed === 1);
  await eventually("the revocation by cron", async () => {
    await worker.sweep();
    return (await stack.revoked()).includes(guestId);
  });
});

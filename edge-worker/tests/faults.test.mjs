// What fails around a Worker, and the Worker itself: the next request is answered.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, startStack } from "./stack.mjs";

let stack;

before(async () => {
  stack = await startStack();
});

after(() => stack?.stop());

const problem = async (answer) => ({ status: answer.status, code: (await answer.json()).code });

test("a store that breaks the connection is 503, and the next request finds it again", async () => {
  const worker = await stack.worker();
  stack.counter.fault = (response) => response.destroy();
  const answer = await worker.issue("device-three");
  stack.counter.fault = null;
  assert.deepEqual(await problem(answer), { status: 503, code: "store_unavailable" });
  assert.equal((await worker.issue("device-three")).status, 201);
});

test("a store that sends the Worker elsewhere is 503, and is not followed", async () => {
  const worker = await stack.worker();
  const created = await stack.called("create");
  stack.counter.fault = (response) => {
    stack.counter.fault = null;
    response.writeHead(307, { location: response.req.url }).end();
  };
  const answer = await worker.issue("device-redirect");
  assert.deepEqual(await problem(answer), { status: 503, code: "store_unavailable" });
  assert.equal(await stack.called("create"), created);
});

test("a store that hangs is 503 within the deadline, and creates nothing", async () => {
  const worker = await stack.worker({ REQUEST_DEADLINE_MS: "15000" });
  const created = await stack.called("create");
  const hung = [];
  stack.counter.fault = (response) => hung.push(response);
  const begun = Date.now();
  const answer = await worker.issue("device-hang");
  const took = Date.now() - begun;
  // While the Worker still waits for the next call, the one that it gave up is aborted.
  await eventually("the call after the answer", () => hung.length > 1);
  await eventually("the abort", () => hung[0].destroyed, 3);
  stack.counter.fault = null;
  assert.deepEqual(await problem(answer), { status: 503, code: "store_unavailable" });
  assert.ok(took < 15_000, `${took} ms`);
  assert.equal(await stack.called("create"), created);
  assert.equal((await worker.issue("device-hang")).status, 201);
});

test("a Genesys that hangs ends at the deadline, and the next request is answered", async () => {
  const worker = await stack.worker({ REQUEST_DEADLINE_MS: "1000" });
  assert.equal((await worker.issue("device-hang")).status, 201);
  await stack.sim.fault({ on: "create", times: 1, effect: { hang: { afterWork: false } } });
  assert.deepEqual(await problem(await worker.issue("device-hang")), { status: 504, code: "genesys_timeout" });
  assert.equal((await worker.issue("device-hang")).status, 201);
});

// The Worker as it is built, in a runtime that lacks what every runtime has. Without randomness the Worker's clock
// aborts; without timers its code panics, where a Rust library takes them for granted. Both end the WebAssembly
// instance.
const BREAKABLE = `
import Worker from "./index.js";
const getRandomValues = crypto.getRandomValues.bind(crypto);
const setTimeout = globalThis.setTimeout;
export default {
  ...Worker,
  async fetch(request, ...rest) {
    const without = request.headers.get("test-without");
    Object.defineProperty(crypto, "getRandomValues", { configurable: true, value: (bytes) => {
      if (without === "randomness") throw new Error("no randomness");
      return getRandomValues(bytes);
    } });
    globalThis.setTimeout = (...args) => {
      if (without === "timers") throw new Error("no timers");
      return setTimeout(...args);
    };
    return Worker.fetch(request, ...rest);
  },
}`;

const without = (what) => ({ headers: { "test-without": what } });

const resets = (worker) => worker.logs.filter((line) => line.includes("starting anew after a panic")).length;

for (const [end, missing] of [["an abort", "randomness"], ["a panic", "timers"]]) {
  test(`${end} in the Worker fails one request, and the next one is answered`, async () => {
    const worker = await stack.worker({}, BREAKABLE);
    for (let n = 1; n <= 2; n++) {
      assert.equal((await worker.issue("device-broken", without(missing))).status, 500);
      const next = await worker.issue("device-broken");
      assert.equal(next.status, 201, await next.text());
      await eventually("the log", () => resets(worker) === n);
    }
  });
}

test("a request that was under way in an isolate that aborted ends too, by its deadline", async () => {
  const worker = await stack.worker({ REQUEST_DEADLINE_MS: "4000" }, BREAKABLE);
  assert.equal((await worker.issue("device-abort")).status, 201);
  const creates = await stack.called("create");
  await stack.sim.fault({ on: "create", times: 1, effect: { latency: 3000 } });
  const calls = stack.counter.calls;
  const underWay = worker.issue("device-under-way");
  await eventually("its admission", () => stack.counter.calls > calls);
  assert.equal((await worker.issue("device-abort", without("randomness"))).status, 500);
  assert.equal((await worker.issue("device-abort")).status, 201);
  // Nobody is left to take its guest: its place in flight runs out, and it is counted as orphaned.
  assert.equal((await underWay).status, 500);
  assert.equal((await stack.called("create")) - creates, 2);
});

// What the tests put around the Worker: real Redis, the origin's REST door to it with a counter in between, the
// simulator as Genesys, and workerd with the built Worker.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import * as parts from "../parts.mjs";
import { root } from "../tools.mjs";

export const DOOR_TOKEN = "door-token-of-the-tests";
export const OPERATOR = { headers: { authorization: "Bearer operator" } };

/** Waits until `check` answers something true, at most `seconds`, and answers that. */
export async function eventually(what, check, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) {
    const seen = await check();
    if (seen) return seen;
  }
  throw new Error(`${what}: not within ${seconds} s`);
}

/** Between the Worker and the door: counts commands, passes on only so many, and can fail instead. */
async function startCounter(door) {
  const counter = { calls: 0, left: Infinity, fault: null };
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    counter.calls++;
    if (counter.fault) return counter.fault(response);
    if (counter.left-- <= 0) return response.destroy();
    const kept = ["authorization", "content-type", "upstash-encoding"].filter((name) => request.headers[name]);
    const headers = Object.fromEntries(kept.map((name) => [name, request.headers[name]]));
    const answer = await fetch(door.url + request.url.slice(1), { method: request.method, body, headers });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  counter.url = `http://127.0.0.1:${server.address().port}`;
  counter.stop = () => (server.closeAllConnections(), server.close());
  return counter;
}

/** The built Worker in workerd. `logs` collects what it writes to the console. `entry` is a module around it. */
async function startWorker(bindings, entry) {
  const build = (name) => join(root, "build", name);
  if (!existsSync(build("index.js"))) throw new Error("build/index.js is missing: npm run build");
  const settings = readFileSync(join(root, "wrangler.toml"), "utf8");
  const logs = [];
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    compatibilityDate: settings.match(/^compatibility_date = "(.*)"$/m)[1],
    modulesRoot: join(root, "build"),
    modules: [
      ...(entry ? [{ type: "ESModule", path: build("entry.js"), contents: entry }] : []),
      { type: "ESModule", path: build("index.js"), contents: readFileSync(build("index.js"), "utf8") },
      { type: "CompiledWasm", path: build("index_bg.wasm"), contents: readFileSync(build("index_bg.wasm")) },
    ],
    bindings,
    cf: false,
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ message }) => logs.push(message),
  }));
  const url = (await miniflare.ready).href.replace(/\/$/, "");
  const worker = {
    url,
    logs,
    fetch: (path, init) => fetch(url + path, { signal: AbortSignal.timeout(60_000), ...init }),
    issue: (device, init = {}) => worker.fetch(`/v1/devices/${device}/sessions`, { method: "POST", ...init }),
    operator: (path) => worker.fetch(path, OPERATOR).then((answer) => answer.json()),
    sweep: async () => (await miniflare.getWorker()).scheduled({ cron: "* * * * *" }),
    stop: () => miniflare.dispose(),
  };
  return worker;
}

/** A stack for one test file. `worker` starts another Worker on it, with more variables. */
export async function startStack() {
  const started = [];
  const keep = async (what) => (started.push(await what), started.at(-1));
  const stop = async () => {
    for (const one of started.reverse()) await one.stop();
  };
  try {
    const redis = await keep(parts.startRedis());
    const sim = await keep(parts.startSim());
    const door = await keep(parts.startDoor(redis, sim, DOOR_TOKEN));
    const counter = await keep(startCounter(door));
    let prefixes = 0;
    return {
      redis: (...words) => execFileSync("redis-cli", ["-p", `${redis.port}`, ...words], { encoding: "utf8" }).trim(),
      sim,
      counter,
      stop,
      /** Each has its own part of the Redis, unless it is told otherwise. */
      worker: (more = {}, entry) => {
        const own = { OPERATOR_TOKEN: "operator", REDIS_KEY_PREFIX: `test-${prefixes++}:`, ...more };
        return keep(startWorker(parts.variables(counter.url, DOOR_TOKEN, sim, own), entry));
      },
      /** A Worker with these variables alone. */
      bare: (bindings) => keep(startWorker(bindings)),
      /** How often Genesys was called for something: token, create or invalidate. */
      called: async (kind) => (await sim.ledger(`?kind=${kind}`)).calls.length,
      /** The ids of guests that were revoked. */
      revoked: async () => (await sim.ledger()).guests.filter((guest) => guest.invalidatedAtMs.length > 0).map(({ id }) => id),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

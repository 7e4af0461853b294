// The processes around the Worker, for `npm run dev` and the tests: each on a free port of 127.0.0.1, in a
// process group of its own, so that Ctrl-C reaches whoever started them and they are ended in order.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { root, target } from "./tools.mjs";

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready, failed) => server.once("listening", ready).once("error", failed));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** The environment without what would configure guestpass. */
export function environment(more = {}) {
  const ours = /^(GENESYS|REDIS|UPSTASH|SESSION|RETRY|REVOKE|RATE_LIMIT|LOG)_|^(MAX_SESSIONS_PER_DEVICE|REQUEST_DEADLINE_MS|SWEEP_INTERVAL_MS|OPERATOR_TOKEN|ISSUE_KEYS|ALLOWED_ORIGINS|FINGERPRINT_KEY|TOKEN_SEALING_KEY|TRUST_PROXY|LISTEN_ADDR)/;
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name));
  return { ...Object.fromEntries(kept), ...more };
}

function signal(group, name) {
  try {
    process.kill(-group, name);
    return true;
  } catch {
    return false; // Nobody is left in it.
  }
}

/** A process that runs until it is stopped. `line` sees what it writes. */
export class Part {
  constructor(name, command, args, { line = () => {}, env = environment() } = {}) {
    this.name = name;
    this.lines = [];
    const child = spawn(command, args, { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.pid = child.pid;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (text) => {
        this.lines.push(text);
        line(text);
      });
    }
    this.ended = new Promise((done) => {
      child.once("error", (error) => done(error.message));
      child.once("exit", (code, by) => done(by ?? `exit code ${code}`));
    });
    this.ended.then((how) => (this.how = how));
  }

  /** Waits until `check` answers something, at most a minute, and answers that. */
  async until(check) {
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
      if (this.how !== undefined) break;
      const seen = await check(this).catch(() => undefined);
      if (seen) return seen;
    }
    const how = this.how === undefined ? "is not ready after a minute" : `ended (${this.how})`;
    await this.stop();
    throw new Error(`${this.name} ${how}\n${this.lines.slice(-20).join("\n")}`);
  }

  /** Ends the process and all that it started. */
  async stop() {
    if (!this.pid) return;
    signal(this.pid, "SIGTERM");
    for (const end = Date.now() + 5000; Date.now() < end; await sleep(20)) {
      if (!signal(this.pid, 0)) return;
    }
    this.kill();
    await this.ended;
  }

  /** The same, at once. */
  kill() {
    if (this.pid) signal(this.pid, "SIGKILL");
  }
}

function built(name, crate) {
  const path = join(target, "debug", name);
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build -p ${crate}`);
  return path;
}

const match = (pattern) => async (part) => part.lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);

/** A Redis without persistence. */
export async function startRedis(options) {
  const port = await freePort();
  const redis = new Part("redis-server", "redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], options);
  await redis.until(match(/(Ready to accept connections)/));
  return Object.assign(redis, { port, url: `redis://127.0.0.1:${port}` });
}

/** The simulator as Genesys. */
export async function startSim(options) {
  const sim = new Part("genesys-sim", built("genesys-sim", "genesys-sim"), ["--listen", "127.0.0.1:0"], options);
  const url = await sim.until(match(/listens on (http:\/\/\S+)/));
  return Object.assign(sim, {
    url,
    ledger: (query = "") => fetch(`${url}/sim/ledger${query}`).then((answer) => answer.json()),
    fault: (fault) => fetch(`${url}/sim/faults`, { method: "POST", body: JSON.stringify(fault) }),
  });
}

/** The origin with its REST door to that Redis. It keeps its own sessions under another prefix, so that what
 * happens to the Worker's is the Worker's doing. */
export async function startDoor(redis, sim, token, options = {}) {
  const env = environment({
    ...genesys(sim),
    REDIS_URL: redis.url,
    REDIS_KEY_PREFIX: "origin:",
    REDIS_REST_TOKEN: token,
    OPERATOR_TOKEN: randomBytes(16).toString("hex"),
    LISTEN_ADDR: "127.0.0.1:0",
    LOG_FORMAT: "text",
  });
  const door = new Part("guestpass serve", built("guestpass", "guestpass-server"), ["serve"], { ...options, env });
  const origin = await door.until(match(/listening on (http:\/\/[^\s"]+)/));
  return Object.assign(door, { url: `${origin}/redis` });
}

/** The variables of a Worker between a door and a simulator. */
export function variables(doorUrl, doorToken, sim, more = {}) {
  return { ...genesys(sim), UPSTASH_REDIS_REST_URL: doorUrl, UPSTASH_REDIS_REST_TOKEN: doorToken, ...more };
}

/** The variables of a host in front of a simulator. */
const genesys = (sim) => ({
  GENESYS_REGION: "mypurecloud.com",
  GENESYS_LOGIN_URL: sim.url,
  GENESYS_API_URL: sim.url,
  GENESYS_CLIENT_ID: "sim-client",
  GENESYS_CLIENT_SECRET: "sim-secret",
});

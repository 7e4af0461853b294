// `npm run dev`: the edge stack on this machine. Redis, the origin's REST door to it, the simulator as Genesys,
// and the Worker in wrangler. Ctrl-C, SIGTERM, or the end of npm ends all of it. What follows `--` goes to
// `wrangler dev`: `npm run dev -- --var MAX_SESSIONS_PER_DEVICE:5`.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environment, freePort, Part, startDoor, startRedis, startSim, variables } from "./parts.mjs";
import { npm, root } from "./tools.mjs";

const CRON = "/cdn-cgi/handler/scheduled?cron=*+*+*+*+*";
const port = Number(process.env.PORT ?? 8787);
// As often as the cron trigger of a deployment, which wrangler dev does not have.
const sweepEvery = Number(process.env.SWEEP_INTERVAL_MS ?? 60_000);
const parts = [];
const folder = mkdtempSync(join(tmpdir(), "guestpass-dev-"));
let building;
let ending = false;

async function end(code, why) {
  if (ending) return;
  ending = true;
  if (why) console.error(`\ndev: ${why}`);
  building?.kill("SIGTERM");
  for (const part of parts.toReversed()) await part.stop();
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

function interrupted() {
  if (!ending) return end(0);
  // Impatient.
  for (const part of parts) part.kill();
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, interrupted);
const parent = process.ppid;
setInterval(() => process.ppid !== parent && end(0), 500);

function need(command, args, remedy) {
  if (spawnSync(command, args, { stdio: "ignore" }).error) throw new Error(`${command} is missing: ${remedy}`);
}

function portIsFree() {
  const taken = `port ${port} is taken; choose another: PORT=8788 npm run dev`;
  return new Promise((free, failed) => {
    const server = createServer().once("error", () => failed(new Error(taken)));
    server.listen(port, "127.0.0.1", () => server.close(free));
  });
}

async function build(what, command, args) {
  console.log(`dev: building ${what}`);
  building = spawn(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const code = await new Promise((done) => building.once("exit", done).once("error", done));
  building = undefined;
  if (code !== 0 && !ending) throw new Error(`${what} cannot be built`);
}

async function start(what) {
  const part = await what;
  parts.push(part);
  part.ended.then((how) => end(1, `${part.name} ended (${how})\n${part.lines.slice(-5).join("\n")}`));
  // It came up while the end was under way already.
  if (ending) await part.stop();
  return part;
}

/** wrangler runs on the Node that npm installed, whichever started this. */
async function startWrangler(vars) {
  const node = existsSync(npm("node")) ? npm("node") : process.execPath;
  const args = [
    ...[npm("wrangler"), "dev", "--ip", "127.0.0.1", "--port", `${port}`, "--inspector-port", `${await freePort()}`],
    ...["--persist-to", join(folder, "state"), "--show-interactive-dev-session=false"],
    ...Object.entries(vars).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
    ...process.argv.slice(2),
  ];
  const env = environment({
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_LOG_PATH: join(folder, "logs"),
    WRANGLER_REGISTRY_PATH: join(folder, "registry"),
  });
  return new Part("wrangler dev", node, args, { env, line: (text) => console.log(text) });
}

const get = (url, path) => fetch(url + path, { signal: AbortSignal.timeout(50_000) });

function welcome(url, sim, operator) {
  const sessions = `${url}/v1/devices/device-fp-8f3a2c1d/sessions`;
  return `
guestpass runs at ${url} as a Worker, for development only
  Genesys   a simulator, at ${sim.url}
  sessions  in a Redis of this run, through an origin's REST door

Issue a guest token; number 4 evicts the oldest, which is then revoked at Genesys:
  curl -X POST ${sessions}

See what Genesys saw:
  curl ${sim.url}/sim/ledger

As the operator, list the device's sessions, or see the counters:
  curl -H "Authorization: Bearer ${operator}" ${sessions}
  curl -H "Authorization: Bearer ${operator}" ${url}/v1/stats

The Worker is built anew when its source changes. Every ${sweepEvery / 1000} s it sweeps, as by its cron trigger.
Ctrl-C stops it all.
`;
}

async function main() {
  if (!existsSync(join(root, "node_modules/wrangler"))) throw new Error("wrangler is missing: run `npm ci` first");
  need("cargo", ["--version"], "install Rust with rustup, https://rustup.rs");
  need("redis-server", ["--version"], "install Redis 7 (`apt-get install redis-server`, `brew install redis`)");
  await portIsFree();
  await build("the origin and the simulator", "cargo", ["build", "--locked", "-p", "guestpass-server", "-p", "genesys-sim"]);
  await build("the Worker", process.execPath, [join(root, "edge-worker/build.mjs")]);
  if (ending) return;

  const line = (name) => ({ line: (text) => / (WARN|ERROR) /.test(text) && console.log(`${name}: ${text}`) });
  const redis = await start(startRedis());
  const sim = await start(startSim());
  const doorToken = randomBytes(16).toString("hex");
  const operator = randomBytes(16).toString("hex");
  const door = await start(startDoor(redis, sim, doorToken, line("origin")));
  const worker = await start(startWrangler(variables(door.url, doorToken, sim, { OPERATOR_TOKEN: operator })));
  const url = `http://127.0.0.1:${port}`;
  await worker.until(() => get(url, "/readyz").then((answer) => answer.ok));
  console.log(welcome(url, sim, operator));
  // A sweep that fails is in the Worker's log, and the next one makes up for it.
  setInterval(() => get(url, CRON).catch(() => {}), sweepEvery);
}

main().catch((error) => end(1, error.message));

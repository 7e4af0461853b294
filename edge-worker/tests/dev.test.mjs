// `npm run dev`, for real: what it prints works, and it leaves nothing behind however it ends.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../parts.mjs";
import { root } from "../tools.mjs";
import { eventually } from "./stack.mjs";

/** Every process that lives: its parent's id and its command, by id. */
function processes() {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat=,args="], { encoding: "utf8" }).trim().split("\n");
  const fields = rows.map((row) => row.trim().match(/^(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/));
  const living = fields.filter((row) => row && !row[3].startsWith("Z"));
  return new Map(living.map(([, pid, parent, , command]) => [Number(pid), { parent: Number(parent), command }]));
}

function descendants(of) {
  const all = processes();
  const found = new Set([of]);
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const [pid, { parent }] of all) if (found.has(parent)) found.add(pid);
  }
  return [...found].map((pid) => [pid, all.get(pid)?.command ?? ""]);
}

/** Runs `npm run dev` as a terminal does: npm and what it starts are one process group. */
async function startDev(more = [], env = {}) {
  const folder = mkdtempSync(join(tmpdir(), "guestpass-dev-test-"));
  const port = await freePort();
  const child = spawn("npm", ["run", "dev", ...more], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PORT: `${port}`, TMPDIR: folder, ...env },
  });
  const dev = { pid: child.pid, port, output: "", code: undefined };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (dev.output += text));
  child.once("exit", (code, signal) => (dev.code = code ?? signal));
  await eventually("npm run dev", () => dev.code !== undefined || dev.output.includes("Ctrl-C stops it all"), 180);
  assert.equal(dev.code, undefined, dev.output);
  dev.all = descendants(dev.pid);
  for (const name of ["redis-server", "genesys-sim", "guestpass serve", "wrangler", "workerd"]) {
    assert.ok(dev.all.some(([, command]) => command.includes(name)), `${name} does not run`);
  }
  dev.pidOf = (name) => dev.all.find(([, command]) => command.includes(name))[0];
  /** Waits for the end, and sees that it was complete. */
  dev.gone = async () => {
    await eventually("the end of npm", () => dev.code !== undefined, 30);
    const left = () => {
      const living = processes();
      return dev.all.filter(([pid, command]) => living.get(pid)?.command === command);
    };
    await eventually("the end of its processes", () => left().length === 0, 20).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(left())}`);
    });
    const server = createServer().listen(port, "127.0.0.1");
    await new Promise((free, taken) => server.once("listening", free).once("error", taken));
    server.close();
    assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("guestpass-dev-")), []);
    rmSync(folder, { recursive: true });
  };
  dev.abandon = () => {
    for (const [pid] of dev.all) try { process.kill(pid, "SIGKILL"); } catch { /* It is gone. */ }
  };
  return dev;
}

const printed = (dev, pattern) => pattern.exec(dev.output)[1];

test("the printed lines work, what leaves is revoked without traffic, and Ctrl-C ends it all", async (t) => {
  const dev = await startDev(["--", "--var", "SESSION_TTL_SECONDS:20"], { SWEEP_INTERVAL_MS: "1000" });
  t.after(dev.abandon);
  const run = (line) => JSON.parse(execFileSync("sh", ["-c", `${line} -sS`], { encoding: "utf8" }));
  const issue = printed(dev, /^ *(curl -X POST http.*)$/m);
  const sessions = [1, 2, 3, 4].map(() => run(issue));
  assert.deepEqual(sessions.map(({ evicted }) => evicted), [0, 0, 0, 1]);
  const ledger = printed(dev, /^ *(curl \S+\/sim\/ledger)$/m);
  const revoked = () => run(ledger).guests.filter((guest) => guest.invalidatedAtMs.length > 0).map(({ id }) => id);
  await eventually("the first session's revocation", () => revoked().length > 0);
  assert.deepEqual(revoked(), [sessions[0].guestId]);
  const list = printed(dev, /^ *(curl -H .*sessions)$/m);
  assert.deepEqual(run(list).sessions.map(({ guestId }) => guestId), sessions.slice(1).map(({ guestId }) => guestId));
  await eventually("the revocation of what expired", () => revoked().length === 4, 60);
  process.kill(-dev.pid, "SIGINT");
  await dev.gone();
});

test("SIGTERM to npm ends it all", async (t) => {
  const dev = await startDev();
  t.after(dev.abandon);
  process.kill(dev.pid, "SIGTERM");
  await dev.gone();
});

test("when one part dies, it is named and the others end", async (t) => {
  const dev = await startDev();
  t.after(dev.abandon);
  process.kill(dev.pidOf("redis-server"), "SIGKILL");
  await dev.gone();
  assert.match(dev.output, /dev: redis-server ended \(SIGKILL\)/);
  assert.notEqual(dev.code, 0);
});

test("what is missing is named, with its remedy", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "guestpass-dev-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const dev = (env) => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, "edge-worker/dev.mjs")], { encoding: "utf8", env: { ...process.env, ...env } });
    return [status, stderr];
  };
  assert.match(dev({ PATH: folder })[1], /cargo is missing: install Rust/);
  // Only whether it is there is asked.
  symlinkSync("/bin/sh", join(folder, "cargo"));
  assert.match(dev({ PATH: folder })[1], /redis-server is missing: install Redis/);
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  t.after(() => server.close());
  const [status, stderr] = dev({ PORT: `${server.address().port}` });
  assert.equal(status, 1);
  assert.match(stderr, /port \d+ is taken; choose another: PORT=/);
});

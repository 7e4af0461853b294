// Starts what a test needs, on free ports, and ends it with the test.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const TOKEN = "a-token-of-the-tests";

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Ends a process and waits for it. */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const hurry = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(hurry);
}

/** A Redis server without persistence, at a given port or a free one. `stop` ends it. */
export async function startRedis(at) {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const port = at ?? (await freePort());
    const dir = await mkdtemp(join(tmpdir(), "guestpass-redis-"));
    const args = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir];
    const child = spawn("redis-server", args.map(String), { stdio: "ignore" });
    const stop = async () => {
      await end(child);
      await rm(dir, { recursive: true, force: true });
    };
    for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
      if (await listens(port)) return { url: `redis://127.0.0.1:${port}`, port, stop };
      await sleep(25);
    }
    await stop(); // Somebody else took the port.
  }
  throw new Error("redis-server does not start");
}

function listens(port) {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => done(true)).once("error", () => done(false));
    socket.once("connect", () => socket.end());
  });
}

/**
 * `guestpass serve` with its REST door on that Redis. `log` holds the lines that it wrote.
 * @param {"scripts" | "all" | undefined} commands
 */
export async function startDoor(redis, commands) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(GENESYS|REDIS|UPSTASH)_/.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    GENESYS_REGION: "mypurecloud.com",
    GENESYS_CLIENT_ID: "id",
    GENESYS_CLIENT_SECRET: "secret",
    // Nothing may leave this machine.
    GENESYS_LOGIN_URL: "http://127.0.0.1:9",
    GENESYS_API_URL: "http://127.0.0.1:9",
    REDIS_URL: redis.url,
    REDIS_REST_TOKEN: TOKEN,
    LISTEN_ADDR: "127.0.0.1:0",
    LOG_FORMAT: "json",
    ...(commands && { REDIS_REST_COMMANDS: commands }),
  };
  const child = spawn(process.env.GUESTPASS_BIN, ["serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const log = [];
  let rest = "";
  const origin = await new Promise((ready, failed) => {
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`guestpass ended with ${code}: ${log.join("\n")}`)));
    child.stdout.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        log.push(line);
        const address = /listening on (http:\/\/[^"]+)/.exec(line);
        if (address) ready(address[1]);
      }
    });
  });
  return { origin, url: `${origin}/redis`, log, stop: () => end(child) };
}

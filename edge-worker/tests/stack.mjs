// What the Worker needs around it, each on a free port: Redis, a REST door to it, the simulator as Genesys,
// and workerd with the built Worker.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const DOOR_TOKEN = "door-token";

export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

async function until(what, check) {
  for (let tries = 0; tries < 200; tries++) {
    if (await check().catch(() => false)) return;
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error(`${what} is not ready after 10 s`);
}

/** Waits until `check` answers something true, and answers that. */
export async function eventually(what, check) {
  let seen;
  await until(what, async () => (seen = await check()));
  return seen;
}

export async function startRedis() {
  const port = await freePort();
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"], { stdio: "ignore" });
  await until("redis-server", () => command(port, ["PING"]).then((reply) => reply.value === "PONG"));
  return { port, command: (words) => command(port, words), stop: () => child.kill() };
}

export async function startSim() {
  const binary = process.env.GENESYS_SIM ?? join(target, "debug/genesys-sim");
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build -p genesys-sim`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(binary, ["--listen", `127.0.0.1:${port}`], { stdio: "ignore" });
  await until("genesys-sim", () => fetch(`${url}/sim/healthz`).then((answer) => answer.ok));
  return {
    url,
    ledger: (query = "") => fetch(`${url}/sim/ledger${query}`).then((answer) => answer.json()),
    fault: (fault) => fetch(`${url}/sim/faults`, { method: "POST", body: JSON.stringify(fault) }),
    stop: () => child.kill(),
  };
}

/** One command on a connection of its own; the reply as RESP2 has it. */
function command(port, words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let bytes = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("Redis closed the connection")));
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const reply = parse(bytes, 0);
      if (reply) socket.end(() => resolve(reply[0]));
    });
    const parts = words.map((word) => Buffer.from(`${word}`));
    socket.write(`*${parts.length}\r\n`);
    for (const part of parts) socket.write(Buffer.concat([Buffer.from(`$${part.length}\r\n`), part, Buffer.from("\r\n")]));
  });
}

function parse(bytes, at) {
  const end = bytes.indexOf("\r\n", at);
  if (end < 0) return null;
  const text = bytes.toString("latin1", at + 1, end);
  switch (String.fromCharCode(bytes[at])) {
    case "+": return [{ kind: "status", value: text }, end + 2];
    case "-": return [{ kind: "error", value: text }, end + 2];
    case ":": return [{ kind: "number", value: Number(text) }, end + 2];
    case "$": {
      const length = Number(text);
      if (length < 0) return [{ kind: "nil", value: null }, end + 2];
      if (bytes.length < end + 4 + length) return null;
      return [{ kind: "bulk", value: bytes.subarray(end + 2, end + 2 + length) }, end + 4 + length];
    }
    default: {
      const items = [];
      let next = end + 2;
      for (let n = 0; n < Number(text); n++) {
        const item = parse(bytes, next);
        if (!item) return null;
        items.push(item[0]);
        next = item[1];
      }
      return [{ kind: "list", value: items }, next];
    }
  }
}

/** A door that speaks as Upstash does, for what the Worker uses of it. Counts its calls. */
export async function startDoor(redisPort) {
  const encode = ({ kind, value }) =>
    kind === "bulk" ? value.toString("base64")
    : kind === "list" ? value.map(encode)
    : kind === "status" && value !== "OK" ? Buffer.from(value).toString("base64")
    : value;
  const door = { calls: [], fault: null };
  const server = http.createServer(async (request, response) => {
    const chunks = await request.toArray();
    const send = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.headers.authorization !== `Bearer ${DOOR_TOKEN}`) return send(401, { error: "WRONGPASS invalid token" });
    const words = JSON.parse(Buffer.concat(chunks));
    door.calls.push(words[0]);
    if (door.fault) return door.fault(response);
    const reply = await command(redisPort, words);
    return reply.kind === "error" ? send(400, { error: reply.value }) : send(200, { result: encode(reply) });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  door.url = `http://127.0.0.1:${server.address().port}`;
  door.stop = () => (server.closeAllConnections(), server.close());
  return door;
}

/** The built Worker in workerd. `logs` collects what it writes to the console. */
export async function startWorker(bindings) {
  const build = (name) => join(root, "build", name);
  if (!existsSync(build("index.js"))) throw new Error("build/index.js is missing: npm run build");
  const logs = [];
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    compatibilityDate: "2026-10-01",
    modulesRoot: join(root, "build"),
    modules: [
      { type: "ESModule", path: build("index.js"), contents: readFileSync(build("index.js"), "utf8") },
      { type: "CompiledWasm", path: build("index_bg.wasm"), contents: readFileSync(build("index_bg.wasm")) },
    ],
    bindings,
    cf: false,
    log: new Log(LogLevel.WARN),
    handleStructuredLogs: ({ message }) => logs.push(message),
  }));
  const url = (await miniflare.ready).href.replace(/\/$/, "");
  return {
    url,
    logs,
    fetch: (path, init) => fetch(url + path, init),
    sweep: async () => (await miniflare.getWorker()).scheduled({ cron: "* * * * *" }),
    stop: () => miniflare.dispose(),
  };
}

/** The variables of a Worker between a door and a simulator. */
export function variables(door, sim, more = {}) {
  return {
    GENESYS_REGION: "mypurecloud.com",
    GENESYS_LOGIN_URL: sim.url,
    GENESYS_API_URL: sim.url,
    GENESYS_CLIENT_ID: "sim-client",
    GENESYS_CLIENT_SECRET: "sim-secret",
    UPSTASH_REDIS_REST_URL: door.url,
    UPSTASH_REDIS_REST_TOKEN: DOOR_TOKEN,
    OPERATOR_TOKEN: "operator",
    ...more,
  };
}

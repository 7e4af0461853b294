// `guestpass check` over a REST service: what it says, and what it advises.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";

import { Redis } from "@upstash/redis";

import { TOKEN, startDoor, startRedis } from "./servers.mjs";

let server, door;

before(async () => {
  server = await startRedis();
  door = await startDoor(server);
});
after(async () => {
  await door?.stop();
  await server?.stop();
});

/** The line about Redis. */
function check(url, token) {
  const env = {
    GENESYS_REGION: "mypurecloud.com",
    GENESYS_CLIENT_ID: "id",
    GENESYS_CLIENT_SECRET: "secret",
    // Nothing may leave this machine.
    GENESYS_LOGIN_URL: "http://127.0.0.1:9",
    GENESYS_API_URL: "http://127.0.0.1:9",
    UPSTASH_REDIS_REST_URL: url,
    UPSTASH_REDIS_REST_TOKEN: token,
  };
  return new Promise((done) => {
    execFile(process.env.GUESTPASS_BIN, ["check"], { env }, (_, stdout, stderr) => {
      assert(!(stdout + stderr).includes(token));
      done(stdout.split("\n").find((line) => line.includes("Redis over REST")) ?? stdout + stderr);
    });
  });
}

test("a door that works", async () => {
  assert.match(await check(door.url, TOKEN), /^ok .*a script ran in every shard/);
});

test("a wrong token", async () => {
  assert.match(await check(door.url, "a-wrong-token"), /^failed .*REDIS_REST_TOKEN of the origin/);
});

test("nobody there, or nobody who speaks Redis", async () => {
  assert.match(await check("http://127.0.0.1:9", TOKEN), /^failed .*can reach UPSTASH_REDIS_REST_URL/);
  assert.match(await check(door.origin, TOKEN), /^failed .*40[45].*ends in \/redis/);
});

test("a user of Redis who may not run scripts", async () => {
  const open = await startDoor(server, "all");
  const admin = new Redis({ url: open.url, token: TOKEN, retry: false });
  await admin.exec(["ACL", "SETUSER", "weak", "on", "nopass", "~*", "+@all", "-@scripting"]);
  const weak = await startDoor({ url: server.url.replace("//", "//weak:x@") });
  try {
    assert.match(await check(weak.url, TOKEN), /^failed .*NOPERM.*may not run scripts/);
  } finally {
    await weak.stop();
    await open.stop();
  }
});

test("a Redis that is away", async () => {
  const redis = await startRedis();
  const lonely = await startDoor(redis);
  await redis.stop();
  try {
    assert.match(await check(lonely.url, TOKEN), /^failed .*(cannot reach its Redis|lost)/);
  } finally {
    await lonely.stop();
  }
});

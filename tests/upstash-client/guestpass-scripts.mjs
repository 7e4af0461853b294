// guestpass's own scripts, put together as core/src/store/redis/scripts.rs does.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const folder = new URL("../../core/src/store/redis/scripts/", import.meta.url);
const read = (name) => readFileSync(new URL(`${name}.lua`, folder), "utf8");

export function script(name) {
  const source = read("prelude") + read(name);
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

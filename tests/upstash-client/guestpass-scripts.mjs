// guestpass's own scripts, put together as core/src/store/redis/scripts.rs does.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const folder = new URL("../../core/src/store/redis/scripts/", import.meta.url);
const read = (name) => readFileSync(new URL(`${name}.lua`, folder), "utf8");

// Which shared functions each script has, in their order: `NAME "name" ["shared" …]`.
const table = readFileSync(new URL("../scripts.rs", folder), "utf8");

export function script(name) {
  const [, shared] = table.match(new RegExp(`\\b${name.toUpperCase()} "${name}" \\[([^\\]]*)\\]`));
  const parts = [...shared.matchAll(/"(\w+)"/g)].map(([, part]) => read(`shared/${part}`) + "\n");
  const source = parts.join("") + read(name);
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

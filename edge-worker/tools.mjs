// The tools that building and testing the Worker need: found where they are, installed where they are not.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
export const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const npm = (name) => join(root, "node_modules/.bin", name);
export const WASM = "wasm32-unknown-unknown";

export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (error || status !== 0) {
    fail(`${command} ${args[0]} failed${error ? `: ${error.message}` : ""}`);
  }
}

export const output = (command, args) =>
  spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";

export function fail(why) {
  console.error(`build: ${why}`);
  process.exit(1);
}

export function wasmTarget() {
  const libraries = output("rustc", ["--target", WASM, "--print", "target-libdir"]);
  if (libraries && existsSync(libraries)) return;
  if (!output("rustup", ["--version"])) {
    fail(`Rust's ${WASM} target is missing, and rustup to add it: install Rust with rustup, https://rustup.rs`);
  }
  run("rustup", ["target", "add", WASM]);
}

// The version must be the lock file's. Compiled without optimization: it runs for a second a build.
export function wasmBindgen() {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const version = lock.match(/name = "wasm-bindgen"\nversion = "([^"]+)"/)[1];
  const here = join(target, "tools");
  const candidates = [process.env.WASM_BINDGEN_BIN, "wasm-bindgen", join(here, "bin/wasm-bindgen")];
  const found = candidates.find(
    (path) => path && output(path, ["--version"]) === `wasm-bindgen ${version}`,
  );
  if (found) return found;
  console.log(`build: installing wasm-bindgen ${version} into ${here} (once, about two minutes)`);
  run("cargo", ["install", "--debug", `wasm-bindgen-cli@${version}`, "--root", here, "--target-dir", join(here, "build")]);
  rmSync(join(here, "build"), { recursive: true, force: true });
  return join(here, "bin/wasm-bindgen");
}

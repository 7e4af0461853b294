// Builds the Worker into build/: cargo, then wasm-bindgen, wasm-opt and esbuild. This is what `worker-build`
// does, without compiling that first (minutes) and without downloads besides cargo's and npm's.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const npm = (name) => join(root, "node_modules/.bin", name);
const WASM = "wasm32-unknown-unknown";
const LIMIT = 300 * 1024;

function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (error || status !== 0) {
    fail(`${command} ${args[0]} failed${error ? `: ${error.message}` : ""}`);
  }
}

const output = (command, args) =>
  spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";

function fail(why) {
  console.error(`build: ${why}`);
  process.exit(1);
}

function wasmTarget() {
  const libraries = output("rustc", ["--target", WASM, "--print", "target-libdir"]);
  if (existsSync(libraries)) return;
  if (!output("rustup", ["--version"])) {
    fail(`Rust's ${WASM} target is missing, and rustup to add it: install Rust with rustup, https://rustup.rs`);
  }
  run("rustup", ["target", "add", WASM]);
}

// The version must be the lock file's. Compiled without optimization: it runs for a second a build.
function wasmBindgen() {
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

if (!existsSync(npm("esbuild"))) fail("run `npm ci` first");
if (!output("cargo", ["--version"])) fail("cargo is missing: install Rust with rustup, https://rustup.rs");
wasmTarget();
const bindgen = wasmBindgen();
run("cargo", ["build", "--locked", "--profile", "worker", "--target", WASM, "-p", "guestpass-edge"]);

const build = join(root, "build");
const compiled = join(target, WASM, "worker/guestpass_edge.wasm");
const inputs = [compiled, ...["edge-worker/build.mjs", "edge-worker/shim.js", "package-lock.json", "Cargo.lock"].map((name) => join(root, name))];
const digest = createHash("sha256");
for (const input of inputs) digest.update(readFileSync(input));
const stamp = digest.digest("hex");
const stampFile = join(build, "inputs.sha256");
const unchanged = ["index.js", "index_bg.wasm", "inputs.sha256"].every((name) => existsSync(join(build, name)))
  && readFileSync(stampFile, "utf8") === stamp;
if (!unchanged) {
  rmSync(stampFile, { force: true });
  assemble();
  writeFileSync(stampFile, stamp);
}

const sizes = ["index.js", "index_bg.wasm"].map((name) => gzipSync(readFileSync(join(build, name)), { level: 9 }).length);
const size = sizes.reduce((sum, one) => sum + one);
console.log(`build: build/index.js and build/index_bg.wasm, ${(size / 1024).toFixed(1)} KB gzipped (at most ${LIMIT / 1024})`);
if (size > LIMIT) fail("the Worker is too large: every cold start pays for its size");

/** From what cargo compiled to what workerd runs. */
function assemble() {
  const staging = join(target, "worker-build");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  run(bindgen, [
    compiled,
    ...["--out-dir", staging, "--out-name", "index", "--target", "module", "--no-typescript"],
    // With these, a Worker that panicked starts anew at the next call.
    ...["--experimental-reset-state-function", "--force-enable-abort-handler"],
  ]);
  const wasm = join(staging, "index_bg.wasm");
  // What rustc emits by default, and the exceptions of wasm-bindgen's abort handler.
  const features = ["bulk-memory", "bulk-memory-opt", "call-indirect-overlong", "exception-handling", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];
  run(npm("wasm-opt"), [wasm, "-o", wasm, "-Oz", "--strip-debug", "--strip-producers", ...features.map((name) => `--enable-${name}`)]);
  writeFileSync(join(staging, "shim.js"), readFileSync(join(root, "edge-worker/shim.js")));
  run(
    npm("esbuild"),
    [
      ...["shim.js", "--bundle", "--minify", "--format=esm", "--outfile=index.js", "--allow-overwrite"],
      ...["--external:./index_bg.wasm", "--external:cloudflare:*", "--log-level=warning"],
    ],
    staging,
  );
  // workerd imports a .wasm file as a module without the proposal's keyword.
  const script = readFileSync(join(staging, "index.js"), "utf8").replaceAll("import source ", "import ");

  mkdirSync(build, { recursive: true });
  writeFileSync(join(build, "index.js"), script);
  writeFileSync(join(build, "index_bg.wasm"), readFileSync(wasm));
}

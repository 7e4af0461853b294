// Builds the Worker into build/: cargo, then wasm-bindgen, wasm-opt and esbuild. This is what `worker-build`
// does, without compiling that first (minutes) and without downloads besides cargo's and npm's.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { fail, npm, output, root, run, target, WASM, wasmBindgen, wasmTarget } from "./tools.mjs";

const LIMIT = 300 * 1024;
const SCRIPTS = ["edge-worker/shim.js", "edge-worker/fetch.js"];
const begun = new Date();

if (!existsSync(npm("esbuild"))) fail("run `npm ci` first");
if (!output("cargo", ["--version"])) fail("cargo is missing: install Rust with rustup, https://rustup.rs");
wasmTarget();
const bindgen = wasmBindgen();
run("cargo", ["build", "--locked", "--profile", "worker", "--target", WASM, "-p", "guestpass-edge"]);

const build = join(root, "build");
const compiled = join(target, WASM, "worker/guestpass_edge.wasm");
const inputs = [compiled, ...["edge-worker/build.mjs", ...SCRIPTS, "package-lock.json", "Cargo.lock"].map((name) => join(root, name))];
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
// What was changed since is not in the Worker: tests/src/edge.rs refuses to test it then.
utimesSync(stampFile, begun, begun);

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
  for (const name of SCRIPTS) copyFileSync(join(root, name), join(staging, basename(name)));
  run(
    npm("esbuild"),
    [
      ...["shim.js", "--bundle", "--minify", "--format=esm", "--outfile=index.js", "--allow-overwrite"],
      ...["--external:./index_bg.wasm", "--external:cloudflare:*", "--log-level=warning"],
    ],
    { cwd: staging },
  );
  // workerd imports a .wasm file as a module without the proposal's keyword.
  const script = readFileSync(join(staging, "index.js"), "utf8").replaceAll("import source ", "import ");

  mkdirSync(build, { recursive: true });
  writeFileSync(join(build, "index.js"), script);
  copyFileSync(wasm, join(build, "index_bg.wasm"));
}

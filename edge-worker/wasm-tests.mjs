// `npm run test:wasm`: core's own tests and those of edge-worker/tests/wasm as WebAssembly, in Node and in headless
// Chromium. Chromium's flags are in webdriver.json.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fail, output, root, run, WASM, wasmBindgen, wasmTarget } from "./tools.mjs";

wasmTarget();
const bindgen = wasmBindgen();
const runner = bindgen.includes("/") ? join(dirname(bindgen), "wasm-bindgen-test-runner") : "wasm-bindgen-test-runner";
const suites = [built("-p", "guestpass-core", "--lib"), built("-p", "guestpass-edge", "--test", "wasm")];

/** Compiles a test target; answers where it is. */
function built(...which) {
  const args = ["test", "--locked", "--target", WASM, ...which, "--no-run", "--message-format", "json-render-diagnostics"];
  const { status, stdout } = spawnSync("cargo", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 26 });
  const messages = status === 0 ? stdout.trim().split("\n").map((line) => JSON.parse(line)) : [];
  return messages.findLast(({ executable }) => executable)?.executable ?? fail(`cargo ${args.join(" ")} failed`);
}

function wasmTests(where, more) {
  for (const suite of suites) {
    console.log(`wasm tests: in ${where}`);
    run(runner, [suite], { cwd: join(root, "edge-worker"), env: { ...process.env, ...more } });
  }
}

wasmTests("Node", {});
const driver = process.env.CHROMEDRIVER ?? "chromedriver";
if (!output(driver, ["--version"])) {
  fail("chromedriver is missing: install it beside Chromium or Chrome (`apt-get install chromium chromium-driver`), or name it in CHROMEDRIVER");
}
wasmTests("Chromium", { CHROMEDRIVER: process.env.CHROMEDRIVER ?? output("which", ["chromedriver"]), WASM_BINDGEN_USE_BROWSER: "1", WASM_BINDGEN_TEST_TIMEOUT: "180" });

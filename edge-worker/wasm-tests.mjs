// `npm run test:wasm`: the tests of edge-worker/tests/wasm as WebAssembly, in Node and in headless Chromium.
// Chromium's flags are in webdriver.json.
import { dirname, join } from "node:path";
import { fail, output, run, WASM, wasmBindgen, wasmTarget } from "./tools.mjs";

wasmTarget();
const bindgen = wasmBindgen();
const runner = bindgen.includes("/") ? join(dirname(bindgen), "wasm-bindgen-test-runner") : "wasm-bindgen-test-runner";
const tests = ["test", "--locked", "--target", WASM, "-p", "guestpass-edge", "--test", "wasm"];

function wasmTests(where, more) {
  console.log(`wasm tests: in ${where}`);
  run("cargo", tests, { env: { ...process.env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: runner, ...more } });
}

wasmTests("Node", {});
const driver = process.env.CHROMEDRIVER ?? "chromedriver";
if (!output(driver, ["--version"])) {
  fail("chromedriver is missing: install it beside Chromium or Chrome (`apt-get install chromium chromium-driver`), or name it in CHROMEDRIVER");
}
wasmTests("Chromium", { CHROMEDRIVER: process.env.CHROMEDRIVER ?? output("which", ["chromedriver"]), WASM_BINDGEN_USE_BROWSER: "1", WASM_BINDGEN_TEST_TIMEOUT: "120" });

// The Worker's entry point. A panic in Rust ends the WebAssembly instance: the next event starts a new one.
import { WorkerEntrypoint } from "cloudflare:workers";
import * as exports from "./index.js";

// A redirect could carry a script or a token to another host: it is an answer like any other.
const send = globalThis.fetch;
globalThis.fetch = (request) => send(request, { redirect: "manual" });

// reqwest aborts every request that it is done with. Without a reason, the runtime makes an error with a stack trace
// for each: a tenth of what an issue costs.
const { abort } = AbortController.prototype;
AbortController.prototype.abort = function () {
  abort.call(this, "dropped");
};

const state = exports.__worker_init_state();

function fatal(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

addEventListener("error", (event) => fatal(event.error));

async function run(handler, event, env, context) {
  if (state.criticalError) {
    console.warn(JSON.stringify({ level: "WARN", message: "starting anew after a panic" }));
    exports.__wbg_reset_state();
    state.criticalError = false;
    state.instanceId++;
  }
  try {
    return await handler(event, env, context);
  } catch (error) {
    fatal(error);
    throw error;
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    return run(exports.fetch, request, this.env, this.ctx);
  }

  scheduled(event) {
    return run(exports.scheduled, event, this.env, this.ctx);
  }
}

// The Worker's entry point: hands events to Rust, and a request in one call each way. A panic in Rust ends the
// WebAssembly instance: the next event starts a new one.
import { Fields, Response } from "./fetch.js";
import * as exports from "./index.js";

const state = exports.__worker_init_state();

function fatal(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

addEventListener("error", (event) => fatal(event.error));

async function run(work) {
  if (state.criticalError) {
    console.warn(JSON.stringify({ level: "WARN", message: "starting anew after a panic" }));
    exports.__wbg_reset_state();
    state.criticalError = false;
    state.instanceId++;
  }
  try {
    return await work();
  } catch (error) {
    fatal(error);
    throw error;
  }
}

/** What Rust answers a request with, and that it has done what was left to do. */
class Exchange {
  answered = Promise.withResolvers();
  finished = Promise.withResolvers();

  /** `head` is a name and a value by turns, each a line. `body` is a view of Rust's memory. */
  answer(status, head, body) {
    const lines = head.split("\n");
    const headers = new Fields();
    for (let at = 1; at < lines.length; at += 2) headers.append(lines[at - 1], lines[at]);
    // A status such as 204 may not have even an empty body.
    this.answered.resolve(new Response(body.length > 0 ? body.slice() : null, { status, headers }));
  }

  finish() {
    this.finished.resolve();
  }
}

/** A request without its body, in lines: method, URL, and a name and a value by turns. None can hold a line's end. */
function headOf({ method, url, headers }) {
  let head = `${method}\n${url}`;
  for (const [name, value] of headers) head += `\n${name}\n${value}`;
  return head;
}

/**
 * The body of a request; of one that is too long, as much as shows it. A body that breaks off is not taken
 * for a shorter one: what stands for it is not JSON, so that whatever reads a body refuses it.
 */
async function bodyOf({ body, headers }) {
  if (!body || headers.get("content-length") === "0") return undefined;
  const most = exports.longest_body();
  const read = new Uint8Array(most + 1);
  let length = 0;
  try {
    for await (const chunk of body) {
      const part = chunk.subarray(0, read.length - length);
      read.set(part, length);
      length += part.length;
      if (length > most) break;
    }
  } catch {
    return Uint8Array.of(0);
  }
  return read.subarray(0, length);
}

async function serve(exchange, request, env) {
  const body = await bodyOf(request);
  exports.serve(exchange, headOf(request), body, env);
}

export default {
  fetch(request, env, context) {
    return run(() => {
      const exchange = new Exchange();
      // The work goes on when the client goes away, so that an issue that it began is committed or revoked.
      context.waitUntil(exchange.finished.promise);
      serve(exchange, request, env).catch(exchange.answered.reject);
      return exchange.answered.promise;
    });
  },

  scheduled(event, env, context) {
    return run(() => exports.scheduled(event, env, context));
  },
};

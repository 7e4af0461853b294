// What Rust sees of the runtime's fetch and queue: reqwest and wasm-bindgen take each global below as they find it,
// when `index.js` is loaded or later. Theirs are the calls; what these keep is cheaper than the runtime's own objects,
// each of which is an object in C++ as well.
const { AbortController, Response, fetch: send } = globalThis;

export { Response };

/** What of an answer's headers the core reads. */
const READ = ["content-length", "retry-after", "inin-correlation-id"];

/** A record of headers, which the runtime takes faster than pairs. */
export class Fields {
  append(name, value) {
    this[name] = name in this ? `${this[name]}, ${value}` : value;
  }
}
globalThis.Headers = Fields;

/** Is its own signal: what is aborted is the call that it was given to, unless that is over. */
globalThis.AbortController = class {
  call = null;

  get signal() {
    return this;
  }

  abort() {
    // Without a reason, the runtime makes an error with a stack trace.
    this.call?.abort("dropped");
  }
};

globalThis.Request = class {
  constructor(url, init) {
    this.url = url;
    this.init = init;
  }
};

class Answer {
  // reqwest wants a URL, of which nobody asks.
  url = "a:";

  constructor(response, guard) {
    this.response = response;
    this.guard = guard;
  }

  get status() {
    return this.response.status;
  }

  get headers() {
    return this;
  }

  *entries() {
    const { headers } = this.response;
    for (const name of READ) {
      const value = headers.get(name);
      if (value !== null) yield [name, value];
    }
  }

  async arrayBuffer() {
    const bytes = await this.response.arrayBuffer();
    this.guard.call = null;
    return bytes;
  }
}
globalThis.Response = Answer;

globalThis.fetch = async ({ url, init: { method, headers, body, signal: guard } }) => {
  guard.call = new AbortController();
  // A redirect could carry a script or a token to another host: it is an answer like any other.
  const init = { method, headers, body, redirect: "manual", signal: guard.call.signal };
  return new Answer(await send(url, init), guard);
};

// A promise's reaction is a microtask too, without an object in C++ and two changes between it and JavaScript.
const ready = Promise.resolve();
globalThis.queueMicrotask = (work) => {
  ready.then(() => {
    try {
      work();
    } catch (error) {
      reportError(error);
    }
  });
};

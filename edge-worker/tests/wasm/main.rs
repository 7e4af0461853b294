//! The rules and the embedded store as WebAssembly. `npm run test:wasm` runs this in Node and in Chromium;
//! `wasm-pack test --node edge-worker` does as well.
#![cfg(target_arch = "wasm32")]
#![expect(
    clippy::allow_attributes,
    reason = "what the shared files expect is not met here, and that lint cannot be expected"
)]
#![allow(
    dead_code,
    unreachable_pub,
    unfulfilled_lint_expectations,
    reason = "the shared files are part of a library elsewhere"
)]

mod rules;
#[path = "../../../tests/src/scene.rs"]
mod scene;
mod store;
#[path = "../../../tests/src/store_suite/mod.rs"]
mod store_suite;

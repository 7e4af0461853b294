//! guestpass at the edge: hosts the [`App`](guestpass_core::service::App) of `guestpass-core` as a Cloudflare
//! Worker. What is decided here is only what a Worker is different in: bounded subrequests, work after the
//! answer, no shared clock.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

pub mod bounds;
#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod console;
#[cfg(target_arch = "wasm32")]
mod exchange;
#[cfg(target_arch = "wasm32")]
mod handlers;
#[cfg(target_arch = "wasm32")]
mod host;
pub mod logging;

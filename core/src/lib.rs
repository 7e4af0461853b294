//! The rules of guestpass: who may have a guest token, how many a device keeps, who is evicted, and how
//! every guest that leaves is revoked at Genesys, whatever crashes in between.
//!
//! This crate does no I/O of its own. A host gives it the four [`seams`] and turns its requests into
//! `http::Request<Bytes>`; the router, the rules, the configuration and both stores are here.

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

pub mod config;
pub mod genesys;
pub mod http;
#[cfg(all(feature = "reqwest", target_arch = "wasm32"))]
mod http_reqwest;
pub mod instruments;
mod json;
pub mod names;
pub mod seams;
pub mod secret;
pub mod service;
pub mod store;
#[cfg(test)]
mod test_support;
pub mod time;

//! What is fuzzed: each target is a function of bytes that panics when a promise is broken. libFuzzer calls them
//! from `fuzz/`; the test of this crate replays the corpus and seeded mutations of it on stable Rust.

mod contract;
mod targets;
mod world;

pub use targets::{
    config_text, fingerprints, genesys_replies, http_requests, retry_after, stored_replies,
    upstash_replies,
};

/// A target: any bytes are its input.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("http_requests", http_requests),
    ("config_text", config_text),
    ("upstash_replies", upstash_replies),
    ("genesys_replies", genesys_replies),
    ("stored_replies", stored_replies),
    ("retry_after", retry_after),
    ("fingerprints", fingerprints),
];

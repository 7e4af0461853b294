//! A Redis script: its source and the digest by which EVALSHA names it.

use std::sync::OnceLock;

use sha1::{Digest as _, Sha1};

use crate::names::hex;

/// A Lua script. Its header in `redis/scripts/` is its contract.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    sha1: OnceLock<String>,
}

impl Script {
    /// A script by its operation's name and its whole source.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source, sha1: OnceLock::new() }
    }

    /// The operation that it carries out, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The source, for EVAL.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// The hexadecimal SHA-1 of the source, for EVALSHA.
    #[must_use]
    pub fn sha1(&self) -> &str {
        self.sha1.get_or_init(|| hex(&Sha1::digest(self.source.as_bytes())))
    }
}

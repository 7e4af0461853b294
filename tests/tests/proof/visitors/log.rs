//! What a load was answered.

use std::collections::{BTreeMap, BTreeSet};

use super::Call;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What was asked for.
    pub(crate) call: Call,
    /// When the request was sent, in Unix milliseconds.
    pub(crate) sent_ms: u64,
    /// Its status; 0 where there was none, because the connection broke.
    pub(crate) status: u16,
    /// The code of a problem, or nothing.
    pub(crate) code: String,
    /// When it is worth trying again, in seconds from then.
    pub(crate) retry_after: Option<u64>,
}

/// All answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// In the order in which they came.
    pub(crate) entries: Vec<Entry>,
    /// Guests that were handed out, and the device.
    pub(crate) answered: BTreeMap<String, String>,
    /// Guests by the device and idempotency key that they were asked for with.
    pub(crate) keys: BTreeMap<String, BTreeSet<String>>,
    /// Guests whose revocation an operator gave up, or may have: no answer came.
    pub(crate) abandoned: BTreeSet<String>,
}

impl Log {
    /// How many answers of this kind and status were given to requests sent since then.
    #[must_use]
    pub(crate) fn answers(&self, call: Call, status: u16, since_ms: u64) -> usize {
        let is_one = |entry: &&Entry| {
            entry.call == call && entry.status == status && entry.sent_ms >= since_ms
        };
        self.entries.iter().filter(is_one).count()
    }

    /// How often each answer came, for each kind of call.
    #[must_use]
    pub(crate) fn summary(&self) -> BTreeMap<(Call, u16, &str), usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry((entry.call, entry.status, entry.code.as_str())).or_default() += 1;
        }
        counts
    }

    /// Prints how often each answer came.
    pub(crate) fn print(&self, title: &str) {
        println!("{title}: {} answers", self.entries.len());
        for ((call, status, code), count) in self.summary() {
            println!("  {call:<12?} {status} {code:<24} {count:>8}");
        }
    }
}

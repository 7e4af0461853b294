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
    /// How long the answer took, in microseconds.
    pub(crate) took_us: u64,
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

    /// Latencies of one kind of call in milliseconds, for the successes: how many, the median, the 95th and the
    /// 99th of a hundred, and the longest.
    #[must_use]
    pub(crate) fn latencies(&self, call: Call) -> Option<(usize, [f64; 4])> {
        let is_one = |entry: &&Entry| entry.call == call && (200..300).contains(&entry.status);
        let mut took: Vec<_> =
            self.entries.iter().filter(is_one).map(|entry| entry.took_us).collect();
        took.sort_unstable();
        let last = took.len().checked_sub(1)?;
        #[expect(clippy::cast_precision_loss, reason = "latencies are small numbers")]
        let at = |percent: usize| took[last * percent / 100] as f64 / 1000.0;
        Some((took.len(), [at(50), at(95), at(99), at(100)]))
    }

    /// Prints latencies and answers.
    pub(crate) fn print(&self, title: &str) {
        println!("{title}: {} answers", self.entries.len());
        for call in Call::ALL {
            if let Some((count, [median, p95, p99, longest])) = self.latencies(call) {
                println!(
                    "  {call:<12?} {count:>8}  ms: median {median:.1}, 95 % {p95:.1}, 99 % {p99:.1}, longest {longest:.1}"
                );
            }
        }
        for ((call, status, code), count) in self.summary() {
            println!("  {call:<12?} {status} {code:<24} {count:>8}");
        }
    }
}

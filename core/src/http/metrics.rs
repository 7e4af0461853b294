//! Counters and gauges of the store, as JSON and as Prometheus text.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::store::ops::{Counter, Stats};
use crate::time::{UnixMillis, whole_seconds};

/// Name, help and value of each gauge.
fn gauges(stats: &Stats, now: UnixMillis) -> [(&'static str, &'static str, u64); 6] {
    let oldest = stats.oldest_pending.map_or(0, |at| now.since(at) / 1000);
    let rest = stats.cool_until.since(now);
    let rest = if rest == 0 { 0 } else { whole_seconds(rest) };
    [
        ("devices", "Devices with sessions.", stats.devices),
        ("inFlight", "Creates in flight.", stats.in_flight),
        ("pendingRevocations", "Revocations to be made.", stats.pending_revocations),
        ("stuckRevocations", "Revocations that wait for an operator.", stats.stuck_revocations),
        ("oldestPendingRevocationSeconds", "Age of the oldest revocation to be made.", oldest),
        ("coolDownSeconds", "How much longer Genesys asked to be left alone.", rest),
    ]
}

pub(super) fn as_json(stats: &Stats, now: UnixMillis) -> Value {
    let counters: Map<_, _> = Counter::ALL
        .into_iter()
        .map(|counter| (counter.name().to_owned(), Value::from(stats.counter(counter))))
        .collect();
    let gauges: Map<_, _> = gauges(stats, now)
        .into_iter()
        .map(|(name, _, value)| (name.to_owned(), Value::from(value)))
        .collect();
    json!({ "counters": counters, "gauges": gauges })
}

pub(super) fn as_prometheus(stats: &Stats, now: UnixMillis) -> String {
    let mut out = String::new();
    let mut write = |name: String, kind: &str, help: &str, value: u64| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    for counter in Counter::ALL {
        let name = format!("guestpass_{}_total", snake_case(counter.name()));
        write(name, "counter", counter.help(), stats.counter(counter));
    }
    for (name, help, value) in gauges(stats, now) {
        write(format!("guestpass_{}", snake_case(name)), "gauge", help, value);
    }
    out
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn prometheus_names_follow_the_json_names() {
        let mut stats = Stats { cool_until: UnixMillis::new(2500), ..Stats::default() };
        stats.bump(Counter::RevokeFailed, 7);
        let text = as_prometheus(&stats, UnixMillis::new(1000));
        assert!(text.contains(
            "\n# TYPE guestpass_revoke_failed_total counter\nguestpass_revoke_failed_total 7\n"
        ));
        assert!(text.contains("\nguestpass_cool_down_seconds 2\n"));
        assert!(text.contains("\nguestpass_oldest_pending_revocation_seconds 0\n"));
    }
}

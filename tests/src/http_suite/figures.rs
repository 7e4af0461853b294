//! Counters and gauges, as JSON and as Prometheus text.

use serde_json::Value;

use super::{Session, device};
use crate::host::Host;

const COUNTERS: [&str; 12] = [
    "issued",
    "replayed",
    "evicted",
    "expired",
    "ended",
    "revoked",
    "revokeFailed",
    "stuck",
    "abandoned",
    "orphaned",
    "rateLimited",
    "busy",
];

const GAUGES: [&str; 6] = [
    "devices",
    "inFlight",
    "pendingRevocations",
    "stuckRevocations",
    "oldestPendingRevocationSeconds",
    "coolDownSeconds",
];

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn sorted<const N: usize>(mut names: [&str; N]) -> Vec<&str> {
    names.sort_unstable();
    names.to_vec()
}

/// All of section 10, and nothing else.
pub async fn stats_have_every_counter_and_gauge(host: &Host) {
    let _ = Session::issue(host, &device()).await;
    let body = host.operate("GET", "/v1/stats").await.expect(200).json();
    assert_eq!(names(&body), ["counters", "gauges"]);
    assert_eq!(names(&body["counters"]), sorted(COUNTERS));
    assert_eq!(names(&body["gauges"]), sorted(GAUGES));
    assert!(
        body["counters"]["issued"].as_u64() >= Some(1)
            && body["gauges"]["devices"].as_u64() >= Some(1)
    );
}

/// The same names in snake case.
pub async fn metrics_are_prometheus_text_of_the_same(host: &Host) {
    let reply = host.operate("GET", "/metrics").await.expect(200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let text = reply.text();
    let snake = |name: &str| {
        let letters = name.chars().flat_map(|c| {
            let is_upper = c.is_ascii_uppercase();
            is_upper.then_some('_').into_iter().chain([c.to_ascii_lowercase()])
        });
        letters.collect::<String>()
    };
    let has = |name: String, kind: &str| {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} {kind}");
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.and_then(|line| line.split(' ').nth(1)).expect("a value");
        assert!(value.parse::<u64>().is_ok(), "{name} {value}");
    };
    for counter in COUNTERS {
        has(format!("guestpass_{}_total", snake(counter)), "counter");
    }
    for gauge in GAUGES {
        has(format!("guestpass_{}", snake(gauge)), "gauge");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

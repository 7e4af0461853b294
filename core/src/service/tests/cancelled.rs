//! Cancellation: a future that is dropped at any of its waits loses no guest beyond what is counted.

use super::balance::{balanced, settle_down};
use crate::store::ops::Counter;
use crate::test_support::{FINGERPRINT, World, issue, request};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_dropped_issue_leaves_at_most_a_counted_orphan() {
    for waits in 0.. {
        let world = World::with_latency(&[], 1);
        let host = world.host();
        for _ in 0..2 {
            assert_eq!(world.issue(&host), 201);
        }
        let done = world.clock.run_until(host.handle(issue(), None), waits).is_some();
        settle_down(&world, &host);
        let look = balanced(&world, &format!("dropped at wait {waits}"));
        assert_eq!(look.stats.in_flight, 0);
        let committed = look.counter(Counter::Issued) - 2;
        let orphaned = look.counter(Counter::Orphaned);
        assert!(committed + orphaned <= 1, "dropped at wait {waits}: {look:?}");
        assert_eq!(look.sessions.len(), 2);
        if done {
            assert_eq!((committed, orphaned), (1, 0));
            assert!(waits > 5, "only {waits} waits");
            break;
        }
    }
}

#[test]
fn a_dropped_sweep_forgets_nothing() {
    for waits in 0.. {
        let world = World::with_latency(&[], 1);
        let host = world.host();
        for _ in 0..5 {
            assert_eq!(world.issue(&host), 201);
        }
        world.clock.advance(3_600_000);
        let sweep = host.handle(request("POST", "/v1/sweep", ""), None);
        let done = world.clock.run_until(sweep, waits).is_some();
        settle_down(&world, &host);
        let look = balanced(&world, &format!("dropped at wait {waits}"));
        assert!(look.pending.is_empty() && look.sessions.is_empty());
        assert_eq!(world.genesys.invalidated().len(), 5, "dropped at wait {waits}");
        if done {
            break;
        }
    }
}

#[test]
fn a_dropped_end_ends_all_or_nothing() {
    for waits in 0.. {
        let world = World::with_latency(&[], 1);
        let host = world.host();
        for _ in 0..2 {
            assert_eq!(world.issue(&host), 201);
        }
        let path = format!("/v1/devices/{FINGERPRINT}/sessions");
        let end = host.handle(request("DELETE", &path, ""), None);
        let done = world.clock.run_until(end, waits).is_some();
        settle_down(&world, &host);
        let look = balanced(&world, &format!("dropped at wait {waits}"));
        assert!(matches!(look.sessions.len(), 0 | 2), "{look:?}");
        if done {
            assert_eq!(look.sessions.len(), 0);
            break;
        }
    }
}

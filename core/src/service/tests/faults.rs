//! Fault points: each call of each operation fails in each way, and nothing is lost.

use std::ops::Range;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::balance::{acts, balanced, settle_down, spoils};
use crate::seams::StoreFault;
use crate::store::ops::Counter;
use crate::test_support::{Act, FINGERPRINT, Host, Spoil, World, issue, json_of, request};

const VARIABLES: &[(&str, &str)] = &[("REVOKE_LEASE_MS", "20000")];

/// A device that is full, so that an issue evicts; and something due, so that a sweep has work.
fn full_device() -> (World, Host) {
    let world = World::with_latency(VARIABLES, 1);
    let host = world.host();
    for _ in 0..3 {
        assert_eq!(world.issue(&host), 201);
    }
    (world, host)
}

fn keyed_issue() -> http::Request<bytes::Bytes> {
    let mut request = issue();
    request.headers_mut().insert("idempotency-key", http::HeaderValue::from_static("key-1"));
    request
}

type Operation = (&'static str, fn(&World, &Host));

fn operations() -> [Operation; 6] {
    [
        ("issue", |world, host| drop(world.ask(host, keyed_issue()))),
        ("renew", |world, host| {
            let mut renew = request("POST", &path("/guest-3/renew"), "");
            let token = http::HeaderValue::from_static("Bearer guest-token-of-guest-3");
            renew.headers_mut().insert("authorization", token);
            drop(world.ask(host, renew));
        }),
        ("end", |world, host| drop(world.ask(host, request("DELETE", &path("/guest-3"), "")))),
        ("end all", |world, host| drop(world.ask(host, request("DELETE", &path(""), "")))),
        ("sweep", |world, host| drop(world.ask(host, request("POST", "/v1/sweep", "")))),
        ("expiry", |world, host| {
            world.clock.advance(3_600_000);
            drop(world.ask(host, request("POST", "/v1/sweep", "")));
        }),
    ]
}

fn path(rest: &str) -> String {
    format!("/v1/devices/{FINGERPRINT}/sessions{rest}")
}

/// Spoils the store's calls with these numbers, counted from now.
fn spoil_calls(world: &World, numbers: Range<usize>, spoil: &Spoil) {
    let (begun, spoil) = (world.store.called().len(), spoil.clone());
    world.store.script(move |op| numbers.contains(&(op.number - begun)).then(|| spoil.clone()));
}

fn spoil_genesys(world: &World, number: usize, act: Act) {
    let begun = world.genesys.seen().len();
    let genesys = world.genesys.clone();
    world
        .genesys
        .script(move |_| (genesys.seen().len() == begun + number + 1).then(|| act.clone()));
}

/// Mends everything, lets the dust settle and checks the balance.
fn check(world: &World, host: &Host, what: &str) {
    world.store.mend();
    world.genesys.mend();
    settle_down(world, host);
    let look = balanced(world, what);
    assert_eq!(look.stats.in_flight, 0, "{what}");
    assert!(look.pending.is_empty() && look.stuck.is_empty(), "{what}: {look:?}");
    assert!(look.counter(Counter::Orphaned) <= 1, "{what}: {look:?}");
    // A key never leads to a guest that has gone.
    let replayed = world.ask(host, keyed_issue());
    assert_eq!(replayed.status(), 201, "{what}: {replayed:?}");
    let guest = json_of(&replayed)["guestId"].as_str().unwrap().to_owned();
    let look = balanced(world, what);
    assert!(look.guests().contains(&guest.as_str()), "{what}: {guest} was replayed but is gone");
}

#[test]
fn no_fault_of_the_store_loses_a_guest() {
    for (name, operate) in operations() {
        for spoil in spoils() {
            for length in [1, 2, 3, 7] {
                for first in 0.. {
                    let what = format!("{name}, calls {first}+{length}, {spoil:?}");
                    let (world, host) = full_device();
                    let before = world.store.called().len();
                    spoil_calls(&world, first..first + length, &spoil);
                    operate(&world, &host);
                    let calls = world.store.called().len() - before;
                    check(&world, &host, &what);
                    if first > calls {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn no_outage_of_the_store_loses_a_guest_however_long() {
    for (name, operate) in operations() {
        for spoil in spoils().into_iter().filter(|s| matches!(s.fault, StoreFault::Lost(_))) {
            for first in 0..4 {
                for (lasts_ms, genesys_too) in [(600, false), (30_000, false), (90_000, true)] {
                    let what = format!("{name}, from {first}, {lasts_ms} ms, {spoil:?}");
                    let (world, host) = full_device();
                    let begun = world.store.called().len();
                    let (clock, spoil) = (world.clock.clone(), spoil.clone());
                    let ends =
                        clock.elapsed() + lasts_ms + if name == "expiry" { 3_600_000 } else { 0 };
                    let its_clock = clock.clone();
                    world.store.script(move |op| {
                        // The first call may be done; the others find nobody.
                        let spoil = Spoil {
                            done: spoil.done && op.number == begun + first,
                            ..spoil.clone()
                        };
                        (op.number >= begun + first && its_clock.elapsed() < ends).then_some(spoil)
                    });
                    world.genesys.script(move |seen| {
                        (genesys_too && seen.revokes().is_some() && clock.elapsed() < ends)
                            .then_some(Act::NotSent)
                    });
                    operate(&world, &host);
                    check(&world, &host, &what);
                }
            }
        }
    }
}

#[test]
fn no_fault_of_genesys_loses_a_guest() {
    for (name, operate) in operations() {
        for act in acts() {
            for number in 0..4 {
                let what = format!("{name}, call {number}, {act:?}");
                let (world, host) = full_device();
                spoil_genesys(&world, number, act.clone());
                operate(&world, &host);
                check(&world, &host, &what);
            }
        }
    }
}

#[test]
fn no_pair_of_faults_loses_a_guest() {
    let (_, issue) = operations()[0];
    for spoil in spoils() {
        for act in acts() {
            for (store_call, genesys_call) in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 1), (3, 2)] {
                let what = format!("store {store_call} {spoil:?}, Genesys {genesys_call} {act:?}");
                let (world, host) = full_device();
                world.genesys.refuse_old_tokens();
                spoil_calls(&world, store_call..store_call + 2, &spoil);
                spoil_genesys(&world, genesys_call, act.clone());
                issue(&world, &host);
                check(&world, &host, &what);
            }
        }
    }
}

//! Fault points, found by counting: every call that an operation makes to the store or to Genesys fails once in
//! each way, and every wait of it, those that only a fault leads to included, is once its last: the task is
//! dropped, as when its process is killed. A further await is a further point without a word here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use http::HeaderValue;

use super::balance::{accounted, acts, balanced, settle_down, spoils};
use crate::seams::StoreFault;
use crate::store::ops::Counter;
use crate::test_support::{Act, BOUNDS, FINGERPRINT, Host, Look, Spoil, World, issue, request};

const VARIABLES: &[(&str, &str)] = &[("REVOKE_LEASE_MS", "20000")];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Issue,
    Renew,
    End,
    EndAll,
    /// With revocations to be made.
    Sweep,
    /// With sessions to expire as well.
    Expiry,
}

const OPERATIONS: [Operation; 6] = [
    Operation::Issue,
    Operation::Renew,
    Operation::End,
    Operation::EndAll,
    Operation::Sweep,
    Operation::Expiry,
];

/// A full device and one evicted guest that is yet to be revoked; `fresh`: without a token that Genesys takes.
fn begin(operation: Operation, fresh: bool) -> World {
    let world = World::with_latency(VARIABLES, 1);
    let host = world.host();
    for _ in 0..3 {
        assert_eq!(world.issue(&host), 201);
    }
    if fresh {
        world.genesys.refuse_old_tokens();
    }
    if operation == Operation::Expiry {
        world.clock.advance(3_600_000);
    }
    world
}

/// A whole operation, with what it leaves to do after its answer.
async fn operate(host: &Host, operation: Operation) {
    let path = |rest: &str| format!("/v1/devices/{FINGERPRINT}/sessions{rest}");
    let request = match operation {
        Operation::Issue => {
            let mut request = issue();
            request.headers_mut().insert("idempotency-key", HeaderValue::from_static("key-1"));
            request
        }
        Operation::Renew => {
            let mut request = request("POST", &path("/guest-3/renew"), "");
            let token = HeaderValue::from_static("Bearer guest-token-of-guest-3");
            request.headers_mut().insert("authorization", token);
            request
        }
        Operation::End => request("DELETE", &path("/guest-3"), ""),
        Operation::EndAll => request("DELETE", &path(""), ""),
        Operation::Sweep | Operation::Expiry => request("POST", "/v1/sweep", ""),
    };
    let answer = host.handle(request, None).await;
    host.finish(answer.after, Some(&BOUNDS)).await;
}

/// How a call fails, by whom it was made to.
#[derive(Debug, Clone)]
struct Failure {
    of_store: Spoil,
    of_genesys: Act,
}

/// A create that was done, whose answer has the guest's id and nothing else. Three guests were made before.
fn with_an_id_alone() -> Act {
    Act::DoneBut(201, r#"{"id":"guest-4"}"#.to_owned())
}

fn failures() -> Vec<Failure> {
    let (spoils, mut acts) = (spoils(), acts());
    acts.push(with_an_id_alone());
    let both = |n: usize| Failure {
        of_store: spoils[n % spoils.len()].clone(),
        of_genesys: acts[n % acts.len()].clone(),
    };
    (0..spoils.len().max(acts.len())).map(both).collect()
}

/// The calls that were made, and whether it was one to Genesys that failed.
#[derive(Clone, Default)]
struct Points {
    calls: Arc<AtomicUsize>,
    genesys_failed: Arc<AtomicBool>,
}

impl Points {
    fn count(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// From now on the calls are counted, and the one with this number fails.
fn fail_at(world: &World, number: usize, failure: &Failure) -> Points {
    let points = Points::default();
    let next = move |points: &Points| points.calls.fetch_add(1, Ordering::Relaxed) == number;
    let (counted, spoil) = (points.clone(), failure.of_store.clone());
    world.store.script(move |_| next(&counted).then(|| spoil.clone()));
    let (counted, act) = (points.clone(), failure.of_genesys.clone());
    world.genesys.script(move |_| {
        let fails = next(&counted);
        counted.genesys_failed.fetch_or(fails, Ordering::Relaxed);
        fails.then(|| act.clone())
    });
    points
}

/// Mends everything, lets another process sweep, and balances the books.
fn check(world: &World, what: &str) {
    let _ = check_by(world, what, balanced);
}

/// The same with a balance of one's own; answers how many guests are lost, each counted as an orphan.
fn check_by(world: &World, what: &str, balance: fn(&World, &str) -> Look) -> usize {
    world.store.mend();
    world.genesys.mend();
    let host = world.host();
    settle_down(world, &host);
    let look = balance(world, what);
    assert_eq!(look.stats.in_flight, 0, "{what}");
    assert!(look.pending.is_empty() && look.stuck.is_empty(), "{what}: {look:?}");
    let (created, orphaned) = (world.genesys.created(), look.counter(Counter::Orphaned));
    assert!(orphaned <= 1, "{what}: {look:?}");
    let invalidated = world.genesys.invalidated();
    let revoked = invalidated.len() as u64;
    let live = look.guests();
    let lost =
        created.iter().filter(|id| !invalidated.contains_key(*id) && !live.contains(&id.as_str()));
    let lost = lost.count();
    assert!(
        created.len() as u64 <= look.sessions.len() as u64 + revoked + orphaned,
        "{what}: {look:?}"
    );
    assert!(look.counter(Counter::Revoked) <= revoked, "{what}: revoked without Genesys");
    world.clock.run(operate(&host, Operation::Issue));
    assert!(!balance(world, what).sessions.is_empty(), "{what}");
    lost
}

/// Every operation, with and without a token at hand.
fn scenes() -> impl Iterator<Item = (Operation, bool)> {
    OPERATIONS.into_iter().flat_map(|operation| [false, true].map(|fresh| (operation, fresh)))
}

#[test]
fn every_call_fails_once_in_every_way() {
    for (operation, fresh) in scenes() {
        for failure in failures() {
            for number in 0.. {
                let world = begin(operation, fresh);
                let points = fail_at(&world, number, &failure);
                world.clock.run(operate(&world.host(), operation));
                let what = format!("{operation:?}, fresh: {fresh}, call {number}, {failure:?}");
                let lost = check_by(&world, &what, balanced);
                // A guest whose id was answered is known, and not lost while the process lives.
                let is_known = !points.genesys_failed.load(Ordering::Relaxed)
                    || format!("{:?}", failure.of_genesys) == format!("{:?}", with_an_id_alone());
                assert!(!is_known || lost == 0, "{what}");
                if points.count() <= number {
                    assert!(number > 0, "{operation:?} makes no call");
                    break;
                }
            }
        }
    }
}

#[test]
fn every_wait_is_once_the_last() {
    for (operation, fresh) in scenes() {
        for waits in 0.. {
            let world = begin(operation, fresh);
            let host = world.host();
            let done = world.clock.run_until(operate(&host, operation), waits).is_some();
            check(&world, &format!("{operation:?}, fresh: {fresh}, dropped at wait {waits}"));
            if done {
                assert!(waits > 1, "{operation:?} waits for nothing");
                break;
            }
        }
    }
}

/// A balance that allows for one thing: where the store lost the answer to a commit that was done, and the process
/// ended after it had revoked that guest and before the store heard of it, the session stays until it expires.
fn balanced_but_for_a_lost_commit(world: &World, what: &str) -> Look {
    let look = accounted(world, 2, what);
    let invalidated = world.genesys.invalidated();
    let dead = look.guests().into_iter().filter(|id| invalidated.contains_key(*id)).count();
    assert!(dead <= 1, "{what}: {look:?}");
    look
}

/// What only a fault leads to (aborts, rescues, direct revocations, retries) is dropped at each of its waits too.
#[test]
fn every_wait_after_a_fault_is_once_the_last() {
    let what = || "test".to_owned();
    let pairs = [
        (StoreFault::Lost(what()), true, Act::Broken { done: true }),
        (StoreFault::Unreachable(what()), false, Act::rate_limited("2")),
        (StoreFault::Refused(what()), false, Act::NotSent),
    ];
    for (operation, fresh) in scenes() {
        for (fault, done, act) in pairs.clone() {
            let failure = Failure { of_store: Spoil { fault, done }, of_genesys: act };
            for number in 0.. {
                let mut points = 0;
                for waits in 1.. {
                    let world = begin(operation, fresh);
                    let counted = fail_at(&world, number, &failure);
                    let host = world.host();
                    let ended = world.clock.run_until(operate(&host, operation), waits).is_some();
                    points = counted.count();
                    let what = format!(
                        "{operation:?}, fresh: {fresh}, {:?}/{:?} at call {number}, dropped at wait {waits}",
                        failure.of_store, failure.of_genesys
                    );
                    let lost_commit = failure.of_store.done && operation == Operation::Issue;
                    let balance = if lost_commit && !ended {
                        balanced_but_for_a_lost_commit
                    } else {
                        balanced
                    };
                    let _ = check_by(&world, &what, balance);
                    if ended {
                        break;
                    }
                }
                if points <= number {
                    break;
                }
            }
        }
    }
}

/// The operations above come to every operation of the store that changes what is accounted for.
#[test]
fn no_operation_of_the_store_is_left_out() {
    let mut called = BTreeSet::new();
    for (operation, fresh) in scenes() {
        for number in 0..6 {
            let world = begin(operation, fresh);
            let failure = Failure {
                of_store: Spoil { fault: StoreFault::Refused(String::new()), done: false },
                of_genesys: Act::rate_limited("1"),
            };
            let _ = fail_at(&world, number, &failure);
            world.clock.run(operate(&world.host(), operation));
            called.extend(world.store.called());
        }
    }
    let all = [
        "abort",
        "admit",
        "claim",
        "commit",
        "cool_down",
        "due",
        "end",
        "expire",
        "renew",
        "settle",
    ];
    assert_eq!(called.into_iter().collect::<Vec<_>>(), all);
}

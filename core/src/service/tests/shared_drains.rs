//! Requests that file revocations while their process drains: to whom these are left, and when not.

use std::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use futures_util::future::{join, join_all, select};

use super::drains::is_revoke;
use crate::seams::{Clock as _, StoreFault};
use crate::service::SweepBounds;
use crate::test_support::{Act, BOUNDS, Host, Spoil, World, issue};

/// A full device; a revocation takes so many milliseconds, a call to the store five.
fn full(revoke_ms: u64) -> (World, Host) {
    let world = World::with_latency(&[], 5);
    let host = world.host();
    for _ in 0..2 {
        assert_eq!(world.issue(&host), 201);
    }
    takes(&world, move |_| revoke_ms);
    (world, host)
}

/// From now on a revocation takes so many milliseconds, by its number.
fn takes(world: &World, revoke_ms: impl Fn(u64) -> u64 + Send + 'static) {
    let mut calls = 0;
    world.genesys.script(move |seen| {
        calls += u64::from(is_revoke(seen));
        is_revoke(seen).then(|| Act::Slow(revoke_ms(calls)))
    });
}

/// After so many milliseconds an issue evicts, and does what is left to do.
async fn evict(world: &World, host: &Host, wait_ms: u64, bounds: SweepBounds) {
    world.clock.sleep(Duration::from_millis(wait_ms)).await;
    let answer = host.handle(issue(), None).await;
    assert!(answer.after.revocations_filed);
    host.finish(answer.after, Some(&bounds)).await;
}

fn claims(world: &World) -> usize {
    world.store.called().iter().filter(|name| **name == "claim").count()
}

/// When the second eviction's revocation was called, after the first one's, in milliseconds. The second one is so much
/// later.
fn waited(world: &World, host: &Host, later_ms: u64, bounds: SweepBounds) -> u64 {
    let first = evict(world, host, 0, bounds);
    let second = evict(world, host, later_ms, BOUNDS);
    world.clock.run(join(first, second));
    let called = world.genesys.times(is_revoke);
    assert_eq!(called.len(), 2, "{called:?}");
    called[1] - called[0]
}

#[test]
fn a_drain_under_way_takes_on_what_others_file() {
    let (world, host) = full(200);
    let others = join_all((0..3).map(|n| evict(&world, &host, 50 + 30 * n, BOUNDS)));
    world.clock.run(join(evict(&world, &host, 0, BOUNDS), others));
    assert_eq!((claims(&world), world.look().pending.len()), (2, 0));
    let invalidated = world.genesys.invalidated();
    assert_eq!(invalidated.values().copied().collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn a_drain_takes_on_no_more_than_its_next_claim_can_bring() {
    let (world, host) = full(400);
    let evicts = |n: u64| evict(&world, &host, 40 * n, SweepBounds { concurrency: 2, ..BOUNDS });
    world.clock.run(join_all((0..4).map(evicts)));
    // The first one takes on two; the fourth drains by itself, and finds all three.
    let called = world.genesys.times(is_revoke);
    assert!(called[1] - called[0] < 200, "{called:?}");
    assert_eq!(world.look().pending.len(), 0);
}

#[test]
fn what_waits_for_a_claim_counts() {
    let (world, host) = full(0);
    takes(&world, |call| if call == 1 { 150 } else { 600 });
    for _ in 0..3 {
        assert_eq!(world.issue(&host), 201);
    }
    // Four calls are under way. Four requests are taken on; when a call has ended there is no room for another claim yet.
    let before = join_all((0..4).map(|n| evict(&world, &host, 30 + 25 * n, BOUNDS)));
    let first = join(evict(&world, &host, 0, BOUNDS), before);
    world.clock.run(join(first, evict(&world, &host, 250, BOUNDS)));
    let called = world.genesys.times(is_revoke);
    assert_eq!(called.len(), 9);
    assert!(called[4] - called[0] < 400, "{called:?}");
}

#[test]
fn whatever_is_taken_on_is_revoked() {
    for seed in 0..200 {
        let world = World::seeded(&[], 5, seed);
        let host = world.host();
        for _ in 0..2 {
            assert_eq!(world.issue(&host), 201);
        }
        let mut dice = seed;
        let mut roll = move |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let waits: Vec<_> = (0..12).map(|n| 40 * n + roll(20)).collect();
        world.genesys.script(move |seen| seen.revokes().map(|_| Act::Slow(roll(400))));
        world.clock.run(join_all(waits.into_iter().map(|wait| evict(&world, &host, wait, BOUNDS))));
        let revoked = world.genesys.invalidated();
        assert!(
            world.look().pending.is_empty() && revoked.values().all(|times| *times == 1),
            "{seed}"
        );
    }
}

#[test]
fn a_drain_that_hangs_takes_on_nothing_more() {
    let (world, host) = full(5000);
    let waited = waited(&world, &host, 1500, BOUNDS);
    assert!((1400..1700).contains(&waited), "{waited}");
}

#[test]
fn a_drain_that_may_claim_no_more_takes_on_nothing() {
    for bounds in [SweepBounds { revocations: 1, ..BOUNDS }, SweepBounds { time_ms: 30, ..BOUNDS }]
    {
        let (world, host) = full(600);
        let waited = waited(&world, &host, 100, bounds);
        assert!((50..200).contains(&waited), "{waited}");
    }
}

#[test]
fn a_drain_that_was_dropped_takes_on_nothing() {
    let (world, host) = full(600);
    let cut_off = async {
        let first = Box::pin(evict(&world, &host, 0, BOUNDS));
        let time = Box::pin(world.clock.sleep(Duration::from_millis(80)));
        drop(select(first, time).await);
    };
    world.clock.run(join(cut_off, evict(&world, &host, 100, BOUNDS)));
    assert_eq!(world.genesys.count(is_revoke), 2);
}

#[test]
fn a_drain_whose_store_fails_takes_on_nothing() {
    let (world, host) = full(100);
    // The second call is slower than the first one, whose settlement fails meanwhile.
    takes(&world, |call| if call == 2 { 900 } else { 10 });
    assert_eq!(world.issue(&host), 201);
    let mut settles = 0;
    world.store.script(move |op| {
        settles += usize::from(op.name == "settle");
        let fault = StoreFault::Unreachable("down".to_owned());
        (op.name == "settle" && settles == 1).then_some(Spoil { fault, done: false })
    });
    let begun = world.clock.elapsed();
    world.clock.run(join(evict(&world, &host, 0, BOUNDS), evict(&world, &host, 200, BOUNDS)));
    let called = world.genesys.times(is_revoke);
    assert_eq!(called.len(), 3);
    assert!(called[2] - begun < 400, "{called:?}");
}

//! Sweeping and draining: bounds, backoff, the end state, leases and rests.

use std::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use futures_util::future::join;
use futures_util::stream;

use super::balance::{balanced, settle_down};
use crate::seams::{Clock as _, SessionStore as _, StoreFault};
use crate::service::SweepBounds;
use crate::store::ops::{Counter, RevocationState};
use crate::test_support::{
    Act, BEGIN, BOUNDS, Host, Look, Seen, Spoil, World, issue, json_of, request,
};

pub(super) fn is_revoke(seen: &Seen) -> bool {
    seen.revokes().is_some()
}

/// A world in which so many revocations are due.
fn due(count: usize, variables: &[(&str, &str)], latency_ms: u64) -> (World, Host) {
    let world = World::with_latency(variables, latency_ms);
    let host = world.host();
    for _ in 0..count + 2 {
        assert_eq!(world.issue(&host), 201);
    }
    assert_eq!(world.look().pending.len(), count);
    (world, host)
}

fn drain(world: &World, host: &Host, bounds: SweepBounds) -> crate::store::ops::Settled {
    world.clock.run(host.drain(&bounds)).unwrap()
}

fn attempts(look: &Look) -> Vec<u32> {
    look.pending.iter().map(|revocation| revocation.attempts).collect()
}

#[test]
fn a_drain_tries_no_more_than_its_bound() {
    let (world, host) = due(10, &[], 0);
    let settled = drain(&world, &host, SweepBounds { revocations: 7, ..BOUNDS });
    assert_eq!((settled.revoked, world.genesys.count(is_revoke)), (7, 7));
    assert_eq!(world.look().pending.len(), 3);
}

#[test]
fn no_more_revocations_are_under_way_at_once_than_allowed() {
    let (world, host) = due(20, &[], 10);
    let begun = world.clock.elapsed();
    drain(&world, &host, SweepBounds { concurrency: 3, ..BOUNDS });
    let times = world.genesys.times(is_revoke);
    assert_eq!((times.len(), most_at_once(&world, 10)), (20, 3), "from {begun}: {times:?}");
    assert!(times.iter().filter(|at| **at == times[0]).count() == 3, "not in parallel: {times:?}");
}

/// The most revocations that were under way at once, when each takes so many milliseconds.
fn most_at_once(world: &World, latency_ms: u64) -> usize {
    let times = world.genesys.times(is_revoke);
    let at_once = |at: &u64| times.iter().filter(|t| **t <= *at && at - **t < latency_ms).count();
    times.iter().map(at_once).max().unwrap_or(0)
}

#[test]
fn a_drain_opens_up_while_genesys_does_well() {
    let (world, host) = due(500, &[], 10);
    let bounds = SweepBounds { concurrency: 128, revocations: 500, ..BOUNDS };
    assert_eq!(drain(&world, &host, bounds).revoked, 500);
    let most = most_at_once(&world, 10);
    assert!((100..=128).contains(&most), "{most}");
}

#[test]
fn claims_and_settlements_take_many_at_a_time() {
    let (world, host) = due(500, &[], 5);
    let mut calls = 0;
    world.genesys.script(move |seen| {
        calls += u64::from(is_revoke(seen));
        is_revoke(seen).then_some(Act::Slow(calls * 7 % 50))
    });
    let before = world.store.called().len();
    let bounds = SweepBounds { concurrency: 32, revocations: 500, ..BOUNDS };
    assert_eq!(drain(&world, &host, bounds).revoked, 500);
    let called = &world.store.called()[before..];
    for (operation, most) in [("claim", 40), ("settle", 120)] {
        let calls = called.iter().filter(|name| **name == operation).count();

        assert!(calls <= most, "{calls} of {operation}");
    }
}

#[test]
fn a_drain_stays_small_while_genesys_does_badly() {
    let (world, host) = due(200, &[], 10);
    world.genesys.script(|seen| is_revoke(seen).then(|| Act::status(500)));
    let bounds = SweepBounds { concurrency: 128, revocations: 200, ..BOUNDS };
    assert_eq!(drain(&world, &host, bounds).retried, 200);
    assert_eq!(most_at_once(&world, 10), 32);
}

#[test]
fn a_slow_call_does_not_hold_up_the_settlement_of_others() {
    let (world, host) = due(40, &[], 10);
    let mut calls = 0;
    world.genesys.script(move |seen| {
        calls += usize::from(is_revoke(seen));
        (is_revoke(seen) && calls == 1).then_some(Act::Slow(5000))
    });
    let (settled, left) = world.clock.run(join(host.drain(&BOUNDS), async {
        world.clock.sleep(Duration::from_millis(2000)).await;
        world.look_async().await.pending.len()
    }));
    assert_eq!((settled.unwrap().revoked, left), (40, 1));
}

#[test]
fn what_is_filed_while_a_call_hangs_does_not_wait_for_it() {
    let (world, host) = due(1, &[], 10);
    let mut calls = 0;
    world.genesys.script(move |seen| {
        calls += usize::from(is_revoke(seen));
        (is_revoke(seen) && calls == 1).then_some(Act::Hang { done: false })
    });
    let filed = stream::once(async {
        world.clock.sleep(Duration::from_millis(500)).await;
        assert_eq!(host.handle(issue(), None).await.response.status(), 201);
    });
    let (settled, left) = world.clock.run(join(host.drain_on(&BOUNDS, filed), async {
        world.clock.sleep(Duration::from_millis(1000)).await;
        world.look_async().await.pending.len()
    }));
    let settled = settled.unwrap();
    assert_eq!((left, settled.revoked, settled.retried), (1, 1, 1));
}

#[test]
fn a_drain_begins_nothing_after_its_time() {
    let (world, host) = due(20, &[], 0);
    world.genesys.script(|seen| is_revoke(seen).then_some(Act::Slow(1000)));
    let settled = drain(&world, &host, SweepBounds { concurrency: 2, time_ms: 2500, ..BOUNDS });
    assert_eq!((settled.revoked, world.clock.elapsed()), (6, 3000));
}

#[test]
fn a_sweep_looks_at_no_more_devices_than_its_bound() {
    let world = World::new(&[]);
    let host = world.host();
    for n in 0..5 {
        let path = format!("/v1/devices/device-of-{n}/sessions");
        assert_eq!(world.ask(&host, request("POST", &path, "")).status(), 201);
    }
    world.clock.advance(3_600_000);
    let report = world.clock.run(host.sweep(&SweepBounds { devices: 3, ..BOUNDS })).unwrap();
    assert_eq!((report.expired, report.revoked), (3, 3));
    assert_eq!(world.look().stats.devices, 2);
    assert_eq!(world.sweep(&host).expired, 2);
    assert_eq!(world.genesys.invalidated().len(), 5);
}

#[test]
fn a_failing_revocation_waits_longer_each_time_and_is_stuck_in_the_end() {
    let (world, host) = due(1, &[("SESSION_TTL_SECONDS", "1000000")], 0);
    world.genesys.script(|seen| is_revoke(seen).then(|| Act::status(500)));
    for failures in 1..=11_u32 {
        assert_eq!(world.sweep(&host).retried, 1);
        let look = world.look();
        let next = look.pending[0].next_attempt_at.unwrap().get() - BEGIN - world.clock.elapsed();
        let full = (1000 << failures).min(900_000_u64);
        assert!((full * 3 / 4..=full * 5 / 4).contains(&next), "{failures}: {next}");
        assert_eq!((attempts(&look), world.sweep(&host).retried), (vec![failures], 0));
        let error = look.pending[0].last_error.as_deref().unwrap();
        assert_eq!(error, "the API answered 500, code c, contextId ctx-1, correlationId corr-1");
        world.clock.advance(next - 1);
        assert_eq!(world.sweep(&host).retried, 0);
        world.clock.advance(1);
    }
    assert_eq!(world.sweep(&host).stuck, 1);
    world.genesys.mend();
    world.clock.advance(1_000_000);
    assert_eq!(world.sweep(&host).revoked, 0);
    let look = world.look();
    assert_eq!((look.stuck.len(), look.pending.len(), look.stuck[0].attempts), (1, 0, 12));
    assert_eq!((look.counter(Counter::Stuck), look.counter(Counter::RevokeFailed)), (1, 12));
    assert_eq!(world.genesys.count(is_revoke), 12);

    let guest = look.stuck[0].guest.clone();
    let retried = world.ask(&host, request("POST", &format!("/v1/revocations/{guest}/retry"), ""));
    assert_eq!(retried.status(), 202);
    assert_eq!((attempts(&world.look()), world.sweep(&host).revoked), (vec![0], 1));
}

#[test]
fn only_genesys_itself_confirms_a_revocation() {
    let genesys = |status| Act::status(status);
    let other = |status, body: &str| Act::Answer(status, vec![], body.to_owned());
    let table = [
        (other(200, ""), true),
        (other(202, "{}"), true),
        (other(204, ""), true),
        (genesys(404), true),
        (genesys(410), true),
        (other(404, "<html>nginx</html>"), false),
        (other(404, r#"{"message":"no route"}"#), false),
        (other(404, r#"{"code":"not.found","status":403}"#), false),
        (other(410, ""), false),
        (other(302, ""), false),
        (genesys(400), false),
        (genesys(403), false),
        (genesys(409), false),
        (genesys(500), false),
        (Act::NotSent, false),
        (Act::Broken { done: true }, false),
        (Act::Hang { done: true }, false),
    ];
    for (act, confirmed) in table {
        let (world, host) = due(1, &[], 0);
        world.genesys.first(is_revoke, [act.clone()]);
        let report = world.sweep(&host);
        assert_eq!(
            (report.revoked, report.retried),
            (confirmed.into(), (!confirmed).into()),
            "{act:?}"
        );
        assert_eq!(world.look().pending.is_empty(), confirmed, "{act:?}");
        assert_eq!(world.genesys.count(is_revoke), 1, "one claim is one call: {act:?}");
    }
}

#[test]
fn a_claim_replaces_a_refused_token_once() {
    let (world, host) = due(1, &[], 0);
    world.genesys.refuse_old_tokens();
    assert_eq!(world.sweep(&host).revoked, 1);
    let (world, host) = due(1, &[], 0);
    world.genesys.script(|seen| is_revoke(seen).then(|| Act::status(401)));
    assert_eq!(world.sweep(&host).retried, 1);
    assert_eq!((world.genesys.count(is_revoke), world.genesys.count(Seen::is_token)), (2, 2));
}

#[test]
fn a_rest_in_the_middle_of_a_drain_ends_the_calls() {
    let (world, host) = due(10, &[], 0);
    let mut calls = 0;
    world.genesys.script(move |seen| {
        calls += usize::from(is_revoke(seen));
        (is_revoke(seen) && calls == 3).then(|| Act::rate_limited("30"))
    });
    let settled = drain(&world, &host, SweepBounds { concurrency: 5, ..BOUNDS });
    // Two done, the third refused, and what was claimed besides is given back untouched.
    assert_eq!((settled.revoked, settled.retried, settled.released), (2, 1, 2));
    assert_eq!(world.genesys.count(is_revoke), 3);
    let look = world.look();
    assert_eq!(look.pending.len(), 8);
    let mut tried = attempts(&look);
    tried.sort_unstable();
    assert_eq!(tried, [0, 0, 0, 0, 0, 0, 0, 1]);
    world.clock.advance(29_999);
    assert_eq!(world.sweep(&host).revoked, 0);
    world.clock.advance(1);
    assert_eq!(world.sweep(&host).revoked, 8);
}

#[test]
fn two_hosts_that_drain_at_once_revoke_nothing_twice() {
    let (world, first) = due(30, &[], 3);
    let second = world.host();
    let (a, b) = world.clock.run(join(first.drain(&BOUNDS), second.drain(&BOUNDS)));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.revoked + b.revoked, a.late + b.late), (30, 0));
    assert!(a.revoked > 0 && b.revoked > 0);
    assert!(world.genesys.invalidated().values().all(|times| *times == 1));
}

#[test]
fn a_sweeper_that_slept_past_its_lease_changes_nothing() {
    let (world, host) = due(4, &[], 0);
    let claim = crate::names::ClaimId::from_random([7; 16]);
    let jobs = world.clock.run(world.store.claim(host.at(), &claim, 4)).unwrap();
    assert_eq!((jobs.len(), world.sweep(&host).revoked), (4, 0));
    world.clock.advance(30_000);
    // Others take over: two are revoked, one fails, one is leased anew.
    let mut acts = vec![Act::Hang { done: false }, Act::status(500)];
    world.genesys.script(move |seen| is_revoke(seen).then(|| acts.pop()).flatten());
    let (_, late) = world.clock.run(join(host.drain(&BOUNDS), async {
        world.clock.sleep(Duration::from_millis(10)).await;
        let before = world.look_async().await;
        let settlements: Vec<_> = jobs
            .into_iter()
            .map(|job| crate::store::ops::Settlement {
                guest: job.guest,
                shard: job.shard,
                fate: crate::store::ops::Fate::Stuck { error: "late".to_owned() },
            })
            .collect();
        let settled = world.store.settle(host.at(), &claim, &settlements).await.unwrap();
        assert_eq!(format!("{before:?}"), format!("{:?}", world.look_async().await));
        settled
    }));
    assert_eq!((late.late, late.stuck), (4, 0));
    world.genesys.mend();
    settle_down(&world, &host);
    balanced(&world, "late sweeper");
    assert_eq!(world.genesys.invalidated().len(), 4);
}

#[test]
fn a_slow_revocation_ends_before_its_lease() {
    let (world, host) = due(1, &[("REVOKE_LEASE_MS", "8000")], 0);
    world.genesys.script(|seen| is_revoke(seen).then_some(Act::Hang { done: false }));
    let settled = drain(&world, &host, BOUNDS);
    assert_eq!((settled.retried, settled.late), (1, 0));
    assert!(world.clock.elapsed() < 8000);
}

#[test]
fn a_stopped_host_claims_nothing_more() {
    let (world, host) = due(20, &[], 0);
    world.genesys.script(|seen| is_revoke(seen).then_some(Act::Slow(1000)));
    let bounds = SweepBounds { concurrency: 2, ..BOUNDS };
    let (settled, ()) = world.clock.run(join(host.drain(&bounds), async {
        world.clock.sleep(Duration::from_millis(1500)).await;
        host.stop();
    }));
    assert_eq!((settled.unwrap().revoked, world.clock.elapsed()), (4, 2000));
    assert_eq!(world.sweep(&host).revoked, 0);
    assert_eq!(world.look().pending.len(), 16);
}

#[test]
fn a_claim_that_cannot_be_settled_is_tried_again_after_its_lease() {
    let (world, host) = due(1, &[], 0);
    let refused = Spoil { fault: StoreFault::Refused("test".to_owned()), done: false };
    world.store.script(move |op| (op.name == "settle").then(|| refused.clone()));
    assert!(world.clock.run(host.drain(&BOUNDS)).is_err());
    world.store.mend();
    assert_eq!(world.sweep(&host).revoked, 0, "still leased");
    world.clock.advance(30_000);
    assert_eq!(world.sweep(&host).revoked, 1);
    assert_eq!(world.look().counter(Counter::Revoked), 1);
}

#[test]
fn without_an_access_token_revocations_stay_where_they_are() {
    let (world, host) = due(3, &[], 0);
    world.clock.advance(100 * 24 * 3_600_000);
    world.genesys.script(|seen| seen.is_token().then_some(Act::NotSent));
    let report = world.sweep(&host);
    assert_eq!((report.expired, report.revoked, report.retried), (2, 0, 0));
    assert_eq!(attempts(&world.look()), [0; 5]);
    // Wrong credentials are the operator's business and show in every revocation.
    world.genesys.script(|seen| seen.is_token().then(|| Act::status(401)));
    assert_eq!(world.sweep(&host).retried, 5);
    let error = world.look().pending[0].last_error.clone().unwrap();
    assert!(error.starts_with("the login host answered 401"), "{error}");
}

#[test]
fn without_revocations_no_access_token_is_fetched() {
    let world = World::new(&[]);
    let host = world.host();
    assert_eq!(world.sweep(&host).revoked, 0);
    assert_eq!(world.genesys.count(Seen::is_token), 0);
}

#[test]
fn a_login_host_that_hangs_has_claimed_revocations_given_back_in_time() {
    let (world, host) = due(2, &[("REVOKE_LEASE_MS", "8000")], 0);
    world.clock.advance(25 * 3_600_000);
    world.genesys.script(|seen| seen.is_token().then_some(Act::Hang { done: false }));
    let settled = drain(&world, &host, BOUNDS);
    assert_eq!((settled.released, settled.late, settled.retried), (0, 0, 0));
    assert_eq!(attempts(&world.look()), [0, 0]);
    world.genesys.mend();
    assert_eq!(drain(&world, &host, BOUNDS).revoked, 2, "they are free at once");
}

#[test]
fn a_rest_that_others_were_told_of_while_a_token_came_is_kept() {
    let (world, host) = due(2, &[], 0);
    world.clock.advance(25 * 3_600_000);
    world.genesys.script(|seen| seen.is_token().then_some(Act::Slow(1000)));
    let other = world.host();
    let (settled, ()) = world.clock.run(join(host.drain(&BOUNDS), async {
        world.clock.sleep(Duration::from_millis(500)).await;
        let until = world.clock.now().plus(60_000);
        world.store.cool_down(other.at(), Some(until)).await.unwrap();
    }));
    let settled = settled.unwrap();
    assert_eq!((settled.released, settled.revoked, world.genesys.count(is_revoke)), (2, 0, 0));
}

#[test]
fn an_operator_sees_what_a_sweep_did() {
    let (world, host) = due(2, &[], 0);
    world.genesys.first(is_revoke, [Act::status(500)]);
    let report = json_of(&world.ask(&host, request("POST", "/v1/sweep", "{}")));
    assert_eq!(report, serde_json::json!({"expired": 0, "revoked": 1, "retried": 1, "stuck": 0}));
    let listed = json_of(&world.ask(&host, request("GET", "/v1/revocations", "")));
    assert_eq!(listed["revocations"][0]["attempts"], 1);
    assert_eq!(listed["revocations"][0]["state"], RevocationState::Pending.as_str());
}

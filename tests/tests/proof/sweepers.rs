//! Sweepers (P5): five origins sweep one Redis, and one of them is stopped past its lease and wakes up. No revocation
//! is lost, each is settled once, and nothing by the late one.
//!
//! `PROOF_LONG=1` makes ten rounds of it, each with another late one.

use std::collections::BTreeMap;

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{OPERATOR, Settings, issue, run, sessions};
use guestpass_tests::http_client::Request;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, pause};
use guestpass_tests::world::{Dice, World, issued};
use serde_json::Value;

use crate::forms::{is_long, seed};

const SWEEPERS: usize = 5;
/// Revocations of one round: more than all can hold at once, so that when the last is done, whatever the others held
/// when one was stopped has long been done.
const JOBS: usize = 900;
/// Long enough for the others to settle what they hold before the late one's leases end, on a busy machine.
const LEASE_MS: u64 = 4000;
const SETTINGS: Settings<'_> = &[
    ("MAX_SESSIONS_PER_DEVICE", "1000"),
    ("REVOKE_LEASE_MS", "4000"),
    ("REVOKE_MAX_ATTEMPTS", "50"),
    ("SWEEP_INTERVAL_MS", "100"),
];
/// What an origin says when a settlement of its own came too late.
const LATE: &str = "a claim had ended before its revocations were settled";

#[test]
fn a_sweeper_that_wakes_after_its_lease_settles_nothing_and_no_revocation_is_lost() {
    run(async {
        let mut dice = Dice::seeded(seed());
        let world = World::new().await;
        let mut sweepers = Vec::new();
        for _ in 0..SWEEPERS {
            sweepers.push(world.origin(SETTINGS).await);
        }
        let rounds = if is_long() { 10 } else { 1 };
        for n in 0..rounds {
            let late = usize::try_from(dice.below(SWEEPERS as u64)).expect("a small number");
            round(&world, &sweepers, late, &format!("swept-device-{n}"), &mut dice).await;
        }

        // One more each round, to see that the late one works on.
        let filed = rounds * (JOBS + 1);
        let guests = world.sim.guests();
        assert_eq!(guests.len(), filed);
        assert!(world.alive().is_empty(), "not revoked: {:?}", world.alive());
        assert!(world.to_be_revoked().is_empty());
        assert_eq!(world.counter("revoked"), filed as u64, "each is settled once");
        let failed = world.sim.calls_of(CallKind::Invalidate);
        let failed = failed.iter().filter(|call| call.status == Some(500)).count();
        assert!(
            world.counter("revokeFailed") <= failed as u64,
            "{failed} calls failed, {} were counted",
            world.counter("revokeFailed")
        );
        assert_eq!(world.counter("stuck"), 0);
    });
}

async fn round(world: &World, sweepers: &[Origin], late: usize, device: &str, dice: &mut Dice) {
    let late = &sweepers[late];
    for _ in 0..JOBS / 20 {
        let issues = (0..20).map(|_| issued(late.addr, device));
        futures_util::future::join_all(issues).await;
    }
    world.sim.set_latency(0, 400, 0);
    let lates_before = late.log().matches(LATE).count();
    let revoked_before = world.counter("revoked");
    let all = Request::new("DELETE", &sessions(device)).bearer(OPERATOR);
    assert_eq!(late.send(&all).await.expect(202).json()["revocations"], JOBS);
    // It is told of them first, and drains at once; the others come with their next sweep.
    eventually("revocations are leased", ms(10_000), async || {
        (!leases(world).is_empty()).then_some(())
    })
    .await;
    pause(ms(dice.below(250))).await;
    late.signal("STOP").await;
    let at_stop = leases(world);
    assert!(!at_stop.is_empty(), "it was stopped too late");

    // The others do all that is not leased to the late one, though its guests are revoked as well.
    let held = eventually("the others are done", ms(LEASE_MS), async || {
        let jobs = jobs(world);
        let is_its = |(guest, claim): (&String, &Option<String>)| {
            claim.is_some() && at_stop.get(guest) == claim.as_ref()
        };
        Some(leases(world)).filter(|_| !jobs.is_empty() && jobs.iter().all(is_its))
    })
    .await;
    assert_eq!(world.counter("revoked") - revoked_before, (JOBS - held.len()) as u64);

    // Whatever the others try now fails, so nobody has reason to take a job away.
    world.sim.set_latency(0, 50, 0);
    let refusal = Effect::Status { code: 500, retry_after: None, body: None };
    world.sim.fault(Fault::always(On::Invalidate, refusal));
    eventually("its leases have ended, and the others have tried", ms(20_000), async || {
        let jobs = jobs(world);
        held.iter().all(|(guest, claim)| jobs[guest].as_ref() != Some(claim)).then_some(())
    })
    .await;
    late.signal("CONT").await;
    let lost = eventually("the late one is told that it is late", ms(20_000), async || {
        let has_settled = late.log().matches(LATE).count() > lates_before;
        let pending = jobs(world);
        let lost: Vec<_> = held.keys().filter(|guest| !pending.contains_key(*guest)).collect();
        (has_settled || !lost.is_empty()).then_some(lost)
    })
    .await;
    assert!(lost.is_empty(), "settled by the late one: {lost:?}");
    println!("{device}: {} of {JOBS} were held by the late one", held.len());
    world.sim.clear_faults();
    world.sim.set_latency(0, 0, 0);
    world.at_rest_within(ms(60_000)).await;
    // It is as good as the others again.
    assert_eq!(issue("another-device").send(late.addr).await.status, 201);
    let all = Request::new("DELETE", &sessions("another-device")).bearer(OPERATOR);
    assert_eq!(late.send(&all).await.expect(202).json()["revocations"], 1);
    world.at_rest().await;
}

/// Pending revocations, each with the claim under which it was leased last.
fn jobs(world: &World) -> BTreeMap<String, Option<String>> {
    let jobs: Vec<(String, String)> = world.redis.query(&["HGETALL", "msg:guest::jobs"]);
    let claim = |text: String| {
        let job: Value = serde_json::from_str(&text).expect("a job is JSON");
        job["claim"].as_str().map(str::to_owned)
    };
    jobs.into_iter().map(|(guest, text)| (guest, claim(text))).collect()
}

/// Those of them that are claimed.
fn leases(world: &World) -> BTreeMap<String, String> {
    let jobs = jobs(world).into_iter();
    jobs.filter_map(|(guest, claim)| Some((guest, claim?))).collect()
}

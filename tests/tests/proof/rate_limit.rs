//! Genesys's rate limit with ten times as much offered (P8): calls never exceed it by more than the requests in
//! flight, revocations keep their share, and callers are told when to come again.
//!
//! `PROOF_LONG=1` has Genesys's own limit, 300 calls a minute, for two minutes and a half; the short form has 60 calls
//! in two seconds.

use std::collections::BTreeSet;

use genesys_sim::{Call, CallKind, Effect, Fault, On};
use guestpass_tests::host::{OPERATOR, Settings, issue, run, sessions};
use guestpass_tests::http_client::Request;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms, pause};
use guestpass_tests::world::{Dice, World, issued};

use crate::books::{Books, PREFIX};
use crate::forms::{is_long, seed};
use crate::visitors::{Call as Asked, Load, Plan};

const CLIENTS: u64 = 40;
const ORIGINS: usize = 2;
/// Revocations that an origin has under way at most.
const REVOCATIONS_AT_ONCE: usize = 128;
/// Calls that may be under way when the limit is reached.
const IN_FLIGHT: usize = CLIENTS as usize + ORIGINS * REVOCATIONS_AT_ONCE;
/// When every process has heard of a refusal, on a busy machine, and calls that a very busy one may still make.
const LATE_AFTER_MS: u64 = 400;
const LATE: usize = 25;
const CAP: usize = 3;
const SETTINGS: Settings<'_> =
    &[("SWEEP_INTERVAL_MS", "500"), ("REQUEST_DEADLINE_MS", "1500"), ("LOG_LEVEL", "error")];

struct Form {
    limit: u32,
    window_ms: u64,
    /// Windows that the load lasts.
    windows: u64,
}

#[test]
fn calls_keep_to_the_rate_limit_and_revocations_have_their_share() {
    let form = if is_long() {
        Form { limit: 300, window_ms: 60_000, windows: 2 }
    } else {
        Form { limit: 60, window_ms: 2000, windows: 4 }
    };
    run(async {
        let world = World::new().await;
        let origins = [world.origin(SETTINGS).await, world.origin(SETTINGS).await];
        world.sim.set_latency(20, 20, 0);
        world.sim.set_rate_limit(Some((form.limit, form.window_ms)));
        // Seven of ten requests are issues; clients rest for half of their pace on average.
        let offered = u64::from(form.limit) * 10;
        let pace = CLIENTS * form.window_ms * 2 * 7 / (10 * offered);
        let devices = 60;
        let mut plan = Plan::on("limited", devices, CLIENTS as usize, ms(pace));
        plan.operators = false;
        let hosts = origins.each_ref().map(|origin| origin.addr);
        let (begun, load) = (now_ms(), Load::begin(&hosts, plan, Dice::seeded(seed())));
        pause(ms(form.windows * form.window_ms + form.window_ms / 2)).await;
        let log = load.end().await;
        log.print("limited");
        let lasted = now_ms() - begun;

        let calls: Vec<_> = world.sim.calls();
        let windows = windows(&calls, form.window_ms);
        for (n, window) in windows.iter().enumerate() {
            println!("window {n}: {window:?}");
            assert!(
                window.refused <= IN_FLIGHT,
                "{} calls beyond a limit of {}, {IN_FLIGHT} may be in flight",
                window.refused,
                form.limit
            );
            assert!(window.late <= LATE, "{LATE_AFTER_MS} ms after a refusal, still: {window:?}");
        }
        assert!(windows.len() as u64 >= form.windows, "{} windows", windows.len());
        // The first begins without anything to revoke.
        let sum = |of: fn(&Window) -> usize| windows.iter().skip(1).map(of).sum::<usize>();
        let (created, revoked) = (sum(|window| window.created), sum(|window| window.revoked));
        assert!(revoked * 4 >= created, "{created} creates, only {revoked} revocations");
        let issues = log.entries.iter().filter(|entry| entry.call == Asked::Issue).count() as u64;
        println!("{issues} issues in {lasted} ms");
        assert!(issues * form.window_ms > offered * lasted / 2, "too little was offered");
        let told = log.entries.iter().filter(|entry| entry.code == "genesys_rate_limited");
        let waits: BTreeSet<_> = told.filter_map(|entry| entry.retry_after).collect();
        assert!(waits.first().is_some_and(|least| *least >= 1), "{waits:?}");
        assert!(waits.last().is_some_and(|most| *most <= form.window_ms / 1000 + 1), "{waits:?}");

        world.sim.set_rate_limit(None);
        world.at_rest_within(ms(form.window_ms + 60_000)).await;
        let books = eventually("nothing is under way", ms(5000), async || {
            Some(Books::of([&world.redis], PREFIX)).filter(Books::is_at_rest)
        })
        .await;
        books.must_balance(&world.sim, &log, CAP);
    });
}

/// For how long Genesys asks to be left alone.
const REST_MS: u64 = 3000;
/// Shorter than that: nobody waits for it.
const SHORT: (&str, &str) = ("REQUEST_DEADLINE_MS", "500");

#[test]
fn a_process_that_was_not_told_itself_leaves_genesys_alone_as_well() {
    run(async {
        let world = World::new().await;
        let told = world.origin(&[("SWEEP_INTERVAL_MS", "3600000"), SHORT]).await;
        // One does nothing but sweep, one nothing but issue: neither learns of it by the other work.
        let sweeper = world.origin(&[("SWEEP_INTERVAL_MS", "50"), SHORT]).await;
        let issuer = world.origin(&[("SWEEP_INTERVAL_MS", "3600000"), SHORT]).await;
        // All have an access token.
        for origin in [&told, &sweeper, &issuer] {
            issued(origin.addr, "told-device").await;
        }
        let retry_after = Some((REST_MS / 1000).to_string());
        let refusal = Effect::Status { code: 429, retry_after, body: None };
        world.sim.fault(Fault::once(On::Create, refusal));
        let refused = issue("told-device").send(told.addr).await;
        let calls = world.sim.calls_of(CallKind::Create);
        let refused_at = calls.iter().find(|call| call.status == Some(429)).map(|call| call.at_ms);
        let rest_ends = refused_at.expect("a call is refused") + REST_MS;
        assert!(refused.problem(503, "genesys_rate_limited").retry_after.is_some());
        let all = Request::new("DELETE", &sessions("told-device")).bearer(OPERATOR);
        assert_eq!(sweeper.send(&all).await.expect(202).json()["revocations"], 3);
        let later = issue("other-device").send(issuer.addr).await;
        assert!(later.problem(503, "genesys_rate_limited").retry_after.is_some());
        world.at_rest().await;
        let invalidates = world.sim.calls_of(CallKind::Invalidate);
        assert_eq!(invalidates.len(), 3);
        let early: Vec<_> = world
            .sim
            .calls()
            .into_iter()
            .filter(|call| call.kind != CallKind::Token && call.status != Some(429))
            .filter(|call| (rest_ends - REST_MS..rest_ends).contains(&call.at_ms))
            .collect();
        assert!(early.is_empty(), "called before {rest_ends}: {early:?}");
    });
}

/// What came in one window of the simulator's limit.
#[derive(Debug, Default)]
struct Window {
    created: usize,
    revoked: usize,
    refused: usize,
    /// Refused long after the first refusal.
    late: usize,
    refused_at_ms: Option<u64>,
}

/// The windows, which open with the first call after the last one closed.
fn windows(calls: &[Call], window_ms: u64) -> Vec<Window> {
    let (mut windows, mut ends) = (Vec::<Window>::new(), 0);
    for call in calls.iter().filter(|call| call.kind != CallKind::Token) {
        if call.at_ms >= ends {
            ends = call.at_ms + window_ms;
            windows.push(Window::default());
        }
        let Some(window) = windows.last_mut() else { continue };
        if call.status == Some(429) {
            window.refused += 1;
            let first = *window.refused_at_ms.get_or_insert(call.at_ms);
            window.late += usize::from(call.at_ms > first + LATE_AFTER_MS);
            continue;
        }
        match call.kind {
            CallKind::Create => window.created += 1,
            _ => window.revoked += 1,
        }
    }
    windows
}

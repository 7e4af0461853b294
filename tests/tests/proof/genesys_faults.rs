//! Faults of Genesys under load: every fault of the simulator alone and in pairs. Answers stay within the contract, and
//! the books balance.
//!
//! The short form meets some of the pairs; `PROOF_LONG=1` meets all. `PROOF_SEED` has the same ones again.

use std::ops::Range;

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{OPERATOR, Settings, run};
use guestpass_tests::http_client::Request;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms};
use guestpass_tests::world::{Dice, World};

use crate::books::{Books, PREFIX};
use crate::forms::{is_long, seed};
use crate::visitors::{Call, Entry, Load, Log, Plan};

const CAP: usize = 3;
const SETTINGS: Settings<'_> = &[
    ("REQUEST_DEADLINE_MS", "700"),
    ("REVOKE_LEASE_MS", "1500"),
    ("REVOKE_MAX_ATTEMPTS", "2"),
    ("SWEEP_INTERVAL_MS", "100"),
    ("LOG_LEVEL", "error"),
];
/// Pairs of the short form.
const SOME_PAIRS: usize = 25;

/// A fault, and the code that an issue which meets it is answered with, if it must be refused and by which name.
#[derive(Debug, Clone)]
struct Case {
    on: On,
    effect: Effect,
    code: Option<&'static str>,
}

/// Every effect, on every kind of call.
fn cases() -> Vec<Case> {
    let status = |code, retry_after: Option<&str>| Effect::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
        body: None,
    };
    let unreadable = Effect::Status { code: 200, retry_after: None, body: Some("[]".to_owned()) };
    let creates = [
        (Effect::Latency(300), None),
        (status(400, None), Some("genesys_rejected")),
        (status(401, None), Some("genesys_unauthorized")),
        (status(403, None), Some("genesys_forbidden")),
        (status(404, None), Some("genesys_rejected")),
        (status(429, Some("1")), Some("genesys_rate_limited")),
        (status(429, Some("soon")), None),
        (status(500, None), Some("genesys_failed")),
        (status(503, None), Some("genesys_failed")),
        (status(503, Some("2")), Some("genesys_rate_limited")),
        (unreadable, Some("genesys_failed")),
        (Effect::ResetBefore, Some("genesys_failed")),
        (Effect::ResetAfter, Some("genesys_failed")),
        (Effect::Hang { after_work: false }, Some("genesys_timeout")),
        (Effect::Hang { after_work: true }, Some("genesys_timeout")),
        (Effect::MalformedBody("{\"id\":".to_owned()), Some("genesys_failed")),
        (Effect::CutBody, Some("genesys_failed")),
        (Effect::DropField("id".to_owned()), Some("genesys_failed")),
        (no_token(), Some("genesys_failed")),
    ];
    // A 404 or a 2xx would be Genesys' word that the guest is gone, while the ledger has it live.
    let may_lie = |effect: &Effect| {
        matches!(effect, Effect::Status { code: 200 | 404, .. } | Effect::DropField(_))
    };
    let mut cases = Vec::new();
    for (effect, code) in creates {
        if !may_lie(&effect) {
            cases.push(Case { on: On::Invalidate, effect: effect.clone(), code: None });
        }
        if !matches!(effect, Effect::DropField(_)) {
            cases.push(Case { on: On::Token, effect: effect.clone(), code: None });
        }
        cases.push(Case { on: On::Create, effect, code });
    }
    let effect = Effect::DropField("access_token".to_owned());
    cases.push(Case { on: On::Token, effect, code: None });
    cases
}

#[test]
fn every_fault_of_genesys_alone_and_in_pairs_keeps_answers_and_books_in_order() {
    run(async {
        let mut dice = Dice::seeded(seed());
        let world = World::new().await;
        let origin = world.origin(SETTINGS).await;
        world.sim.set_latency(10, 10, 5);
        let plan = Plan { cap: CAP, ..Plan::on("faulty", 16, 24, ms(60)) };
        let load = Load::begin(&[origin.addr], plan, dice.split());
        let cases = cases();
        let mut useless = 0..0;
        for case in &cases {
            let began = now_ms();
            alone(&world, &load, case).await;
            if case.effect == no_token() {
                useless = began..now_ms();
            }
        }
        let mut pairs: Vec<_> = (0..cases.len())
            .flat_map(|first| (0..first).map(move |second| (first, second)))
            .collect();
        if !is_long() {
            while pairs.len() > SOME_PAIRS {
                let at = usize::try_from(dice.below(pairs.len() as u64)).expect("a small number");
                pairs.swap_remove(at);
            }
        }
        for &(first, second) in &pairs {
            together(&world, &[&cases[first], &cases[second]]).await;
        }
        let log = load.end().await;
        log.print("every fault");
        // Nothing is wrong any more: whatever waits for an operator can be done now.
        eventually("no revocation is left", ms(60_000), async || {
            retry_stuck(&world, &origin).await;
            let books = Books::of([&world.redis], PREFIX);
            (books.is_at_rest() && books.stuck.is_empty()).then_some(())
        })
        .await;
        let books = Books::of([&world.redis], PREFIX);
        let balance = books.must_balance(&world.sim, &log, CAP);
        must_be_revoked(&world, &log, &useless);
        let doubtful = world.sim.calls_of(CallKind::Create);
        let doubtful = doubtful.iter().filter(|call| !call.faults.is_empty()).count();
        let orphaned = books.counter("orphaned");
        let late = log.answers(Call::Issue, 504, 0);
        println!(
            "{} faults, {} pairs, {} guests: {} tracked, {orphaned} orphaned, {} strays",
            cases.len(),
            pairs.len(),
            world.sim.guests().len(),
            books.tracked.len(),
            balance.strays.len()
        );
        assert!(orphaned <= (doubtful + late) as u64, "{orphaned}, but {doubtful} were in doubt");
    });
}

/// One fault, until calls have met it and somebody was told.
async fn alone(world: &World, load: &Load, case: &Case) {
    let since = now_ms();
    world.sim.fault(Fault::times(case.on, 10_000, case.effect.clone()));
    let what = format!("{case:?} is met");
    eventually(&what, ms(30_000), async || {
        // A fetch that is under way does not meet it.
        if case.on == On::Token {
            world.sim.revoke_tokens();
        }
        let left = world.sim.faults().first().and_then(|fault| fault.times).unwrap_or_default();
        let told = case.code.is_none_or(|code| load.was_told(code, since));
        (left < 10_000 && told).then_some(())
    })
    .await;
    world.sim.clear_faults();
}

/// Faults that calls meet one after the other, twice.
async fn together(world: &World, cases: &[&Case; 2]) {
    for case in cases.iter().chain(cases) {
        world.sim.fault(Fault::once(case.on, case.effect.clone()));
    }
    let what = format!("{cases:?} are met");
    eventually(&what, ms(30_000), async || {
        let left = world.sim.faults();
        if left.iter().any(|fault| fault.on == On::Token) {
            world.sim.revoke_tokens();
        }
        left.is_empty().then_some(())
    })
    .await;
}

fn no_token() -> Effect {
    Effect::DropField("guestToken".to_owned())
}

/// Guests that could not be used, as the answer had their id but no token: known all the same, they are revoked.
fn must_be_revoked(world: &World, log: &Log, created: &Range<u64>) {
    let creates = world.sim.calls_of(CallKind::Create);
    let useless = creates
        .iter()
        .filter(|call| created.contains(&call.at_ms) && call.faults == [no_token()])
        .filter_map(|call| call.guest_id.as_ref());
    let made: Vec<_> = useless.collect();
    assert!(!made.is_empty());
    let is_live =
        |guest: &&&String| !world.sim.invalidated(guest) && !log.abandoned.contains(**guest);
    let live: Vec<_> = made.iter().filter(is_live).collect();
    // On a slow machine an answer may come too late to be read.
    let is_late = |entry: &&Entry| entry.status == 504 && created.contains(&entry.sent_ms);
    let late = log.entries.iter().filter(is_late).count();
    assert!(live.len() <= late, "known, useless, and not revoked: {live:?}");
}

async fn retry_stuck(world: &World, origin: &guestpass_tests::origin::Origin) {
    let stuck: Vec<String> = world.redis.query(&["HKEYS", "msg:guest::stuck"]);
    for guest in stuck {
        let retry = Request::new("POST", &format!("/v1/revocations/{guest}/retry"));
        let _retried = origin.send(&retry.bearer(OPERATOR)).await.expect(202);
    }
}

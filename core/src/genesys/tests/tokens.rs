//! Access tokens: fetched once, shared, renewed in time, discarded when refused (P9).

use std::task::Poll;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use futures_util::future::join_all;

use super::{Api, BUDGET, api};
use crate::names::GuestId;
use crate::seams::{FaultKind, GuestProvider as _, Host};
use crate::test_support::{Act, ManualClock, ScriptedHttp, Seen, poll_once};

const DAY_MS: u64 = 86_400_000;

/// Calls with the token at hand; answers the bearer that went out.
fn bearer(clock: &ManualClock, http: &ScriptedHttp, api: &Api) -> String {
    let guest = GuestId::parse("g").unwrap();
    drop(clock.run(api.revoke(&guest, BUDGET)));
    http.seen().last().unwrap().header("authorization").unwrap().to_owned()
}

#[test]
fn a_thousand_first_callers_fetch_one_token() {
    let (clock, http, api) = api(&[], 100);
    let mut callers: Vec<_> = (0..1000).map(|_| Box::pin(api.prepare(BUDGET))).collect();
    for caller in &mut callers {
        assert!(poll_once(caller.as_mut()).is_pending());
    }
    assert_eq!(http.seen().len(), 1);
    clock.advance(99);
    assert!(callers.iter_mut().all(|caller| poll_once(caller.as_mut()).is_pending()));
    clock.advance(1);
    assert_eq!(poll_once(callers[0].as_mut()), Poll::Ready(Ok(true)));
    clock.advance(5);
    for caller in &mut callers[1..] {
        assert_eq!(poll_once(caller.as_mut()), Poll::Ready(Ok(true)));
    }
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false));
    assert_eq!(http.seen().len(), 1);
}

#[test]
fn waiters_share_a_failure_and_it_is_not_cached() {
    let (clock, http, api) = api(&[], 100);
    http.first(Seen::is_token, [Act::status(500)]);
    let outcomes = clock.run(join_all((0..1000).map(|_| api.prepare(BUDGET))));
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind, FaultKind::Status(500));
    }
    assert_eq!(http.seen().len(), 1);
    // Whoever waits for the next fetch hears nothing of the old failure.
    for outcome in clock.run(join_all((0..1000).map(|_| api.prepare(BUDGET)))) {
        assert_eq!(outcome, Ok(true));
    }
    assert_eq!(http.seen().len(), 2);
}

#[test]
fn a_token_is_renewed_a_little_before_it_expires_by_one_caller() {
    let (clock, http, api) = api(&[], 100);
    clock.run(api.prepare(BUDGET)).unwrap();
    clock.advance(DAY_MS - 90_100);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false), "renewed too early");
    clock.advance(30_100);
    // One renews; the others go on with the old token at once.
    let mut callers: Vec<_> = (0..10).map(|_| Box::pin(api.prepare(BUDGET))).collect();
    assert!(poll_once(callers[0].as_mut()).is_pending());
    for caller in &mut callers[1..] {
        assert_eq!(poll_once(caller.as_mut()), Poll::Ready(Ok(false)));
    }
    clock.advance(100);
    assert_eq!(poll_once(callers[0].as_mut()), Poll::Ready(Ok(true)));
    assert_eq!(http.count(Seen::is_token), 2);
    assert_eq!(bearer(&clock, &http, &api), "Bearer access-token-2");
}

#[test]
fn hosts_renew_at_different_times() {
    let mut renewed = Vec::new();
    for seed in 0..20 {
        let clock = ManualClock::new(seed);
        let http = ScriptedHttp::new(&clock, 0);
        let config = crate::test_support::config_of(&[]);
        let api = super::GuestsApi::new(http.clone(), clock.clone(), &config.genesys);
        clock.run(api.prepare(BUDGET)).unwrap();
        clock.advance(DAY_MS - 90_000);
        while http.seen().len() == 1 {
            clock.advance(1000);
            clock.run(api.prepare(BUDGET)).unwrap();
        }
        renewed.push(clock.elapsed() - (DAY_MS - 90_000));
    }
    renewed.sort_unstable();
    assert!(renewed[19] <= 31_000 && renewed[19] - renewed[0] > 10_000, "{renewed:?}");
}

#[test]
fn a_failed_renewal_keeps_the_token_as_long_as_it_is_valid() {
    for act in [Act::status(500), Act::NotSent, Act::Hang { done: false }, Act::status(401)] {
        let (clock, http, api) = api(&[], 0);
        clock.run(api.prepare(BUDGET)).unwrap();
        clock.advance(DAY_MS - 59_000);
        let spoilt = act.clone();
        http.script(move |seen| seen.is_token().then(|| spoilt.clone()));
        assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true), "{act:?}");
        // For a while nobody asks again.
        assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false), "{act:?}");
        assert_eq!(http.count(Seen::is_token), 2);
        assert_eq!(bearer(&clock, &http, &api), "Bearer access-token-1");
        clock.advance(59_000);
        assert!(clock.run(api.prepare(BUDGET)).is_err(), "{act:?}");
        http.mend();
        assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true));
        assert_eq!(bearer(&clock, &http, &api), "Bearer access-token-2");
    }
}

#[test]
fn a_refused_token_is_discarded_and_a_newer_one_survives() {
    let (clock, http, api) = api(&[], 100);
    let guest = GuestId::parse("g").unwrap();
    clock.run(api.prepare(BUDGET)).unwrap();
    http.refuse_old_tokens();
    // Two calls go out with the first token. When the second is answered, there is a newer token.
    let mut early = Box::pin(api.revoke(&guest, BUDGET));
    assert!(poll_once(early.as_mut()).is_pending());
    clock.advance(50);
    let mut late = Box::pin(api.revoke(&guest, BUDGET));
    assert!(poll_once(late.as_mut()).is_pending());
    clock.advance(50);
    assert!(
        matches!(poll_once(early.as_mut()), Poll::Ready(Err(f)) if f.kind == FaultKind::Status(401))
    );
    let mut renewal = Box::pin(api.prepare(BUDGET));
    assert!(poll_once(renewal.as_mut()).is_pending(), "the refused token was kept");
    clock.advance(100);
    assert_eq!(poll_once(renewal.as_mut()), Poll::Ready(Ok(true)));
    assert!(
        matches!(poll_once(late.as_mut()), Poll::Ready(Err(f)) if f.kind == FaultKind::Status(401))
    );
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false), "the newer token was discarded");
    assert_eq!(bearer(&clock, &http, &api), "Bearer access-token-2");
}

#[test]
fn an_abandoned_fetch_is_taken_over() {
    let (clock, http, api) = api(&[], 100);
    let mut first = Box::pin(api.prepare(BUDGET));
    let mut second = Box::pin(api.prepare(BUDGET));
    assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
    drop(first);
    assert_eq!(clock.run(second), Ok(true));
    assert_eq!(http.seen().len(), 2);
    assert!(clock.elapsed() <= 110, "{}", clock.elapsed());
}

#[test]
fn a_fetch_that_is_never_polled_again_is_replaced_after_a_minute() {
    let (clock, http, api) = api(&[], 100);
    let mut frozen = Box::pin(api.prepare(BUDGET));
    assert!(poll_once(frozen.as_mut()).is_pending());
    let waiter = clock.run(api.prepare(BUDGET)).unwrap_err();
    assert_eq!(
        (waiter.kind, waiter.host, clock.elapsed()),
        (FaultKind::TimedOut, Host::Login, 15_000)
    );
    clock.advance(45_000);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true));
    assert_eq!(http.seen().len(), 2);
    // The frozen one wakes late and harms nothing.
    assert!(clock.run(frozen).is_ok());
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false));
}

#[test]
fn a_login_host_that_asks_for_rest_gets_it() {
    let (clock, http, api) = api(&[], 0);
    http.first(Seen::is_token, [Act::rate_limited("30")]);
    assert_eq!(clock.run(api.prepare(BUDGET)).unwrap_err().retry_after_ms, Some(30_000));
    clock.advance(29_999);
    let fault = clock.run(api.prepare(BUDGET)).unwrap_err();
    assert_eq!(
        (fault.kind, fault.host, fault.retry_after_ms),
        (FaultKind::Status(429), Host::Login, Some(1))
    );
    assert_eq!(http.seen().len(), 1);
    clock.advance(1);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true));
}

#[test]
fn an_answer_that_is_no_token_is_unreadable() {
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"access_token":1}"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":"t","expires_in":-1}"#,
        r#"{"access_token":"t","expires_in":"soon"}"#,
    ] {
        let (clock, http, api) = api(&[], 0);
        http.first(Seen::is_token, [Act::DoneBut(200, body.to_owned())]);
        let fault = clock.run(api.prepare(BUDGET)).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Unreadable(_)), "{body}: {fault:?}");
        assert_eq!(fault.host, Host::Login);
    }
}

#[test]
fn a_token_without_a_lifetime_is_taken_to_live_five_minutes() {
    let (clock, http, api) = api(&[], 0);
    http.tokens_live_for(None);
    clock.run(api.prepare(BUDGET)).unwrap();
    clock.advance(240_000);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(false));
    clock.advance(60_000);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true));
}

#[test]
fn a_token_that_is_dead_on_arrival_ends_in_a_fault_not_in_a_loop() {
    let world = crate::test_support::World::new(&[]);
    world.genesys.tokens_live_for(Some(0));
    assert_eq!(world.issue(&world.host()), 502);
    assert_eq!((world.genesys.count(Seen::is_token), world.genesys.count(Seen::is_create)), (2, 0));
}

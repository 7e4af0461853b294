//! Genesys asks to be left alone.

use std::process::Command;

use genesys_sim::{CallKind, Fault, On};
use guestpass_tests::http_suite::{Session, device};
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::wait::{ms, now_ms};

use crate::full::{Full, creates, rest, status};

/// An HTTP date so many seconds from now.
fn http_date(ahead: u64) -> String {
    let at = format!("@{}", now_ms() / 1000 + ahead);
    let date = Command::new("date")
        .env("LC_ALL", "C")
        .args(["-u", "-d", &at, "+%a, %d %b %Y %H:%M:%S GMT"])
        .output();
    let text = String::from_utf8(date.expect("there is a date").stdout).expect("ASCII");
    text.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_fits_is_waited_for_and_holds_others_back() {
    let full = Full::start_with(&[("REQUEST_DEADLINE_MS", "5000")]).await;
    full.fault(creates(1, rest(429, "1")));
    let second = async {
        eventually("the first call", ms(2000), async || (full.creates() == 1).then_some(())).await;
        // The rest is told to the store right after the answer.
        eventually("the rest is known", ms(500), async || {
            let stats = full.host.operate("GET", "/v1/stats").await.expect(200).json();
            (stats["gauges"]["coolDownSeconds"].as_u64() == Some(1)).then_some(())
        })
        .await;
        let problem = full.host.issue(&device()).await.problem(503, "genesys_rate_limited");
        assert_eq!(problem.retry_after, Some(1));
        assert_eq!(full.creates(), 1, "no call while Genesys rests");
    };
    let ((_, took), ()) = tokio::join!(timed(full.succeeds()), second);
    assert!(took >= ms(1000), "{took:?}");
    assert_eq!(full.creates(), 2);
    let calls = full.host.sim.calls_of(CallKind::Create);
    let [.., refused, done] = &calls[..] else { panic!("{calls:?}") };
    assert!(done.at_ms - refused.at_ms >= 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_until_a_date_is_waited_for() {
    let full = Full::start_with(&[("REQUEST_DEADLINE_MS", "5000")]).await;
    let until = now_ms() / 1000 * 1000 + 2000;
    full.fault(creates(1, rest(429, &http_date(2))));
    let (_, took) = timed(full.succeeds()).await;
    assert!(now_ms() >= until, "{took:?}");
    assert!(took >= ms(500), "{took:?}");
    assert_eq!(full.creates(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_makes_no_sense_is_no_more_than_the_backoff() {
    let past = http_date(0);
    for retry_after in [None, Some("-5"), Some("soon"), Some(""), Some("1.5"), Some(&past[..])] {
        let full = Full::start().await;
        let effect = retry_after.map_or(status(429), |text| rest(429, text));
        full.fault(creates(2, effect));
        let (_, took) = timed(full.succeeds()).await;
        assert!(took < ms(1000), "{retry_after:?} took {took:?}");
        assert_eq!(full.creates(), 3, "{retry_after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_that_stays_is_passed_on_as_a_rest() {
    let full = Full::start().await;
    full.fault(Fault::always(On::Create, status(429)));
    let problem = full.fails(503, "genesys_rate_limited").await;
    assert_eq!(problem.retry_after, Some(1));
    assert_eq!(full.creates(), 3);
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_longer_than_the_deadline_is_passed_on_at_once_and_kept() {
    for retry_after in ["60".to_owned(), http_date(61)] {
        let full = Full::start().await;
        full.fault(creates(1, rest(429, &retry_after)));
        let (problem, took) = timed(full.fails(503, "genesys_rate_limited")).await;
        assert!(took < ms(1000), "{took:?}");
        let seconds = problem.retry_after.expect("a rest");
        assert!((59..=61).contains(&seconds), "{retry_after}: {seconds}");
        for _ in 0..3 {
            let problem = full.host.issue(&device()).await.problem(503, "genesys_rate_limited");
            let seconds = problem.retry_after.expect("a rest");
            assert!((58..=61).contains(&seconds), "{retry_after}: {seconds}");
        }
        full.fails(503, "genesys_rate_limited").await;
        assert_eq!((full.creates(), full.orphaned().await), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_own_rate_limit_is_kept() {
    let full = Full::start_with(&[("REQUEST_DEADLINE_MS", "8000")]).await;
    full.host.sim.set_rate_limit(Some((1, 1000)));
    for _ in 0..3 {
        assert_eq!(Session::issue(&full.host, &device()).await.evicted, 0);
    }
    let calls = full.host.sim.calls_of(CallKind::Create);
    let refused: Vec<_> = calls.iter().filter(|call| call.status == Some(429)).collect();
    assert!(!refused.is_empty());
    for call in refused {
        let next = calls.iter().find(|next| next.at_ms > call.at_ms).expect("a call after it");
        assert!(
            next.at_ms - call.at_ms >= 1000,
            "called {} ms after a 429",
            next.at_ms - call.at_ms
        );
    }
}

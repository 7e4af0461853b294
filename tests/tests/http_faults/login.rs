//! The login host fails when an access token is needed: nothing can have been created.

use genesys_sim::{Effect, Fault, On};
use guestpass_tests::http_client::Problem;
use guestpass_tests::real_time::timed;
use guestpass_tests::wait::ms;

use crate::full::{Full, rest, status};

/// A device that is full, while its host must fetch a new access token and meets this.
async fn without_a_token(times: u32, effect: Effect) -> Full {
    let full = Full::start().await;
    full.host.sim.revoke_tokens();
    full.fault(Fault::times(On::Token, times, effect));
    full
}

/// An issue that ends so after so many calls to the login host; nothing is created.
async fn ends(effect: Effect, status: u16, code: &str, calls: usize) -> Problem {
    let full = without_a_token(u32::MAX, effect).await;
    let problem = full.fails(status, code).await;
    assert_eq!((full.tokens(), full.creates()), (calls, 1));
    assert_eq!((full.unknown(), full.orphaned().await), (0, 0));
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_named() {
    for code in [400, 401] {
        let problem = ends(status(code), 502, "genesys_unauthorized", 1).await;
        assert!(problem.detail.contains("GENESYS_CLIENT_ID"), "{problem:?}");
    }
    ends(status(403), 502, "genesys_forbidden", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_of_the_login_host_is_not_repeated() {
    let problem = ends(status(500), 502, "genesys_failed", 1).await;
    assert!(problem.detail.contains("the login host"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_errors_of_the_login_host_are_repeated() {
    for code in [502, 503, 504] {
        ends(status(code), 502, "genesys_failed", 3).await;
        let full = without_a_token(2, status(code)).await;
        full.succeeds().await;
        assert_eq!(full.tokens(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_tokens_are_a_failure() {
    for body in ["nope", "", "{}", r#"{"access_token":""}"#] {
        ends(Effect::MalformedBody(body.to_owned()), 502, "genesys_failed", 1).await;
    }
    ends(Effect::DropField("access_token".to_owned()), 502, "genesys_failed", 1).await;
    ends(Effect::CutBody, 502, "genesys_failed", 1).await;
    ends(Effect::ResetBefore, 502, "genesys_failed", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_host_that_hangs_is_given_up_with_the_deadline() {
    let (_, took) =
        timed(ends(Effect::Hang { after_work: false }, 504, "genesys_timeout", 1)).await;
    assert!(took >= ms(1400), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_of_the_login_host_is_waited_for_or_passed_on() {
    let full = without_a_token(1, rest(429, "1")).await;
    let (_, took) = timed(full.succeeds()).await;
    assert!(took >= ms(1000), "{took:?}");
    let problem = ends(rest(429, "60"), 503, "genesys_rate_limited", 1).await;
    assert!((59..=60).contains(&problem.retry_after.expect("a rest")), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_host_is_asked_again_by_the_next_issue() {
    for effect in [status(500), status(401), Effect::MalformedBody("nope".to_owned())] {
        let full = without_a_token(1, effect).await;
        assert_eq!(full.issue().await.status, 502);
        full.recovers().await;
        assert_eq!(full.tokens(), 2);
    }
}

//! Genesys refuses, or fails with a status.

use genesys_sim::{Fault, On, SimConfig};
use guestpass_tests::host::{Launch as _, start_sim};
use guestpass_tests::http_suite::{Session, device, figure};
use guestpass_tests::origin::OnEmbedded;
use guestpass_tests::wait::{ms, pause};

use crate::full::{BRISK, Full, creates, rest, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_access_token_is_replaced_once() {
    let full = Full::start().await;
    full.fault(creates(1, status(401)));
    full.succeeds().await;
    assert_eq!((full.creates(), full.tokens()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_twice_is_reported_after_two_calls() {
    let full = Full::start().await;
    full.fault(Fault::always(On::Create, status(401)));
    let problem = full.fails(502, "genesys_unauthorized").await;
    assert!(problem.detail.contains("GENESYS_REGION"), "{problem:?}");
    assert_eq!((full.creates(), full.tokens()), (2, 1));
    assert_eq!(full.orphaned().await, 0);
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_revoked_at_genesys_go_unnoticed() {
    let full = Full::start().await;
    full.host.sim.revoke_tokens();
    full.succeeds().await;
    assert_eq!((full.creates(), full.tokens()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_named() {
    let settings = [BRISK, &[("GENESYS_CLIENT_SECRET", "another-secret")]].concat();
    let host = OnEmbedded.start(&settings).await;
    let problem = host.issue(&device()).await.problem(502, "genesys_unauthorized");
    assert!(problem.detail.contains("GENESYS_CLIENT_SECRET"), "{problem:?}");
    assert!(!problem.detail.contains("another-secret"), "{problem:?}");
    assert_eq!(host.sim.count(genesys_sim::CallKind::Create), 0);
    assert_eq!(figure(&host, "counters", "orphaned").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() {
    let full = Full::start().await;
    full.fault(Fault::always(On::Create, status(403)));
    let problem = full.fails(502, "genesys_forbidden").await;
    assert!(problem.detail.contains("messaging:guest:manage"), "{problem:?}");
    assert!(problem.detail.contains("role"), "{problem:?}");
    assert_eq!((full.creates(), full.tokens()), (1, 0));
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_scope_is_told_which() {
    let granted = SimConfig {
        granted_scopes: Some(vec!["messaging:guest:view".to_owned()]),
        ..SimConfig::default()
    };
    let host = OnEmbedded.start_before(start_sim(granted).await, BRISK).await;
    let problem = host.issue(&device()).await.problem(502, "genesys_forbidden");
    assert!(problem.detail.contains("messaging:guest:manage"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_refusals_are_not_repeated() {
    let full = Full::start().await;
    for (tried, code) in [400, 404, 405, 409, 413, 415].into_iter().enumerate() {
        full.fault(creates(1, status(code)));
        let problem = full.fails(502, "genesys_rejected").await;
        assert!(problem.detail.contains(&code.to_string()), "{problem:?}");
        assert_eq!(full.creates(), tried + 1, "{code}");
    }
    assert_eq!(full.orphaned().await, 0);
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_is_not_repeated() {
    let full = Full::start().await;
    full.fault(creates(1, status(500)));
    let problem = full.fails(502, "genesys_failed").await;
    assert!(problem.detail.contains("500"), "{problem:?}");
    assert_eq!(full.creates(), 1);
    assert_eq!(full.orphaned().await, 0);
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_errors_are_overcome_by_the_third_try() {
    for code in [502, 503, 504] {
        let full = Full::start().await;
        full.fault(creates(2, status(code)));
        full.succeeds().await;
        assert_eq!((full.creates(), full.tokens()), (3, 0), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_errors_that_stay_fail_after_three_tries() {
    for code in [502, 503, 504] {
        let full = Full::start().await;
        full.fault(Fault::always(On::Create, status(code)));
        let problem = full.fails(502, "genesys_failed").await;
        assert!(problem.detail.contains(&code.to_string()), "{problem:?}");
        assert_eq!(full.creates(), 3, "{code}");
        assert_eq!(full.orphaned().await, 0);
        full.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_with_a_long_rest_is_passed_on_and_holds_nobody_else_back() {
    let full = Full::start().await;
    full.fault(creates(1, rest(503, "60")));
    let problem = full.fails(503, "genesys_rate_limited").await;
    assert_eq!(problem.retry_after, Some(60));
    assert_eq!(full.creates(), 1);
    // Only a 429 speaks for all calls.
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_genesys_fails_after_retries_and_recovers() {
    let full = Full::start().await;
    full.host.sim.stop();
    full.host.sim.stopped().await;
    // The pool hears of closed connections a moment later.
    pause(ms(200)).await;
    let problem = full.fails(502, "genesys_failed").await;
    assert!(problem.detail.contains("could not be reached"), "{problem:?}");
    assert_eq!((full.creates(), full.orphaned().await), (0, 0));
    let addr = full.host.sim.addr();
    let back = genesys_sim::Sim::start(SimConfig::default(), addr).await;
    let back = back.expect("the port is free again");
    let session = Session::of(&full.issue().await);
    assert_eq!(session.evicted, 1);
    assert_eq!(back.live_guests()[0].id, session.guest_id);
}

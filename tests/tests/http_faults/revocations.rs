//! Genesys fails when a guest is to be revoked: the revocation stays until it is confirmed.

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{Host, Launch as _, Settings, sessions};
use guestpass_tests::http_suite::{Session, device, figure, invalidated, millis_between};
use guestpass_tests::origin::OnEmbedded;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, pause};
use serde_json::{Value, json};

use crate::full::{BRISK, rest, status};

async fn revocations(host: &Host, state: &str) -> Vec<Value> {
    let path = format!("/v1/revocations?state={state}");
    let body = host.operate("GET", &path).await.expect(200).json();
    body["revocations"].as_array().expect("a list").clone()
}

/// Ends a session whose revocation meets this so many times; answers its guest.
async fn end_one(host: &Host, times: u32, effect: Effect) -> String {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    host.sim.fault(Fault::times(On::Invalidate, times, effect));
    let ended = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    assert_eq!(ended.json(), json!({ "revocations": 1 }));
    session.guest_id
}

/// The revocation once it has been tried.
async fn tried(host: &Host, state: &str, guest: &str) -> Value {
    eventually("the revocation is tried", ms(4000), async || {
        let list = revocations(host, state).await;
        list.into_iter().find(|job| job["guestId"] == guest && job["attempts"] == 1)
    })
    .await
}

async fn is_gone(host: &Host, guest: &str) {
    eventually("the revocation is settled", ms(2000), async || {
        let list = revocations(host, "pending").await;
        (!list.iter().any(|job| job["guestId"] == guest)).then_some(())
    })
    .await;
}

/// A fault that leaves a revocation pending, and what is said of it.
async fn stays_pending(host: &Host, times: u32, effect: Effect, said: &str) {
    let guest = end_one(host, times, effect.clone()).await;
    let job = tried(host, "pending", &guest).await;
    let error = job["lastError"].as_str().expect("an error").to_owned();
    assert!(error.contains(said), "{effect:?}: {error}");
    assert_eq!((&job["state"], &job["reason"]), (&json!("pending"), &json!("ended")));
    let text = |field: &str| job[field].as_str().expect("a time").to_owned();
    let wait = millis_between(&text("enqueuedAt"), &text("nextAttemptAt"));
    assert!(wait >= 1500, "{effect:?}: the next attempt comes {wait} ms after the job");
    assert_eq!(host.operate("GET", "/readyz").await.status, 200);
    host.sim.clear_faults();
    let retry = host.operate("POST", &format!("/v1/revocations/{guest}/retry")).await;
    assert_eq!(retry.expect(202).json(), json!({}));
    invalidated(host, &guest).await;
    is_gone(host, &guest).await;
}

async fn start(settings: Settings<'_>) -> Host {
    OnEmbedded.start(&[BRISK, settings].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_no_success_leaves_it_pending() {
    let host = start(&[]).await;
    for code in [400, 403, 409, 429, 500, 502, 503, 504] {
        stays_pending(&host, 1, status(code), &code.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_twice_leaves_it_pending() {
    let host = start(&[]).await;
    stays_pending(&host, 2, status(401), "401").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_once_is_replaced() {
    let host = start(&[]).await;
    let guest = end_one(&host, 1, status(401)).await;
    invalidated(&host, &guest).await;
    is_gone(&host, &guest).await;
    assert_eq!(host.sim.count(CallKind::Token), 2);
    assert_eq!(figure(&host, "counters", "revokeFailed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_leaves_it_pending() {
    let host = start(&[]).await;
    stays_pending(&host, 1, Effect::ResetBefore, "broke").await;
    stays_pending(&host, 1, Effect::ResetAfter, "broke").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_leaves_it_pending() {
    let host = start(&[]).await;
    stays_pending(&host, 1, Effect::Hang { after_work: false }, "in time").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_holds_up_neither_other_revocations_nor_expiry() {
    let host = start(&[("REQUEST_DEADLINE_MS", "20000"), ("SESSION_TTL_SECONDS", "4")]).await;
    let expires = Session::issue(&host, &device()).await.guest_id;
    let hangs = end_one(&host, 1, Effect::Hang { after_work: false }).await;
    eventually("it hangs", ms(2000), async || {
        (host.sim.count(CallKind::Invalidate) == 1).then_some(())
    })
    .await;
    let other = device();
    let ended = Session::issue(&host, &other).await.guest_id;
    assert_eq!(host.operate("DELETE", &sessions(&other)).await.status, 202);
    invalidated(&host, &ended).await;
    eventually("it expires", ms(8000), async || host.sim.invalidated(&expires).then_some(())).await;
    assert!(!host.sim.invalidated(&hangs));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_revocation_is_tried_again_by_itself() {
    let host = start(&[]).await;
    let guest = end_one(&host, 1, status(503)).await;
    tried(&host, "pending", &guest).await;
    eventually("it is tried again", ms(5000), async || host.sim.invalidated(&guest).then_some(()))
        .await;
    is_gone(&host, &guest).await;
    assert_eq!(figure(&host, "counters", "revoked").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revocation_is_tried_while_genesys_rests() {
    let host = start(&[]).await;
    let guest = end_one(&host, 1, rest(429, "3")).await;
    let job = tried(&host, "pending", &guest).await;
    assert!(job["lastError"].as_str().expect("an error").contains("429"), "{job}");
    let retry = host.operate("POST", &format!("/v1/revocations/{guest}/retry")).await;
    assert_eq!(retry.status, 202);
    pause(ms(1000)).await;
    assert_eq!(host.sim.count(CallKind::Invalidate), 1, "called while it rests");
    eventually("it is revoked", ms(5000), async || host.sim.invalidated(&guest).then_some(()))
        .await;
    let calls = host.sim.calls_of(CallKind::Invalidate);
    assert!(calls[1].at_ms - calls[0].at_ms >= 3000, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_genesys_does_not_know_counts_as_revoked() {
    let host = start(&[]).await;
    for code in [404, 410] {
        let before = figure(&host, "counters", "revoked").await;
        let guest = end_one(&host, 1, status(code)).await;
        eventually("it counts as revoked", ms(2000), async || {
            (figure(&host, "counters", "revoked").await == before + 1).then_some(())
        })
        .await;
        is_gone(&host, &guest).await;
    }
    assert_eq!(figure(&host, "counters", "revokeFailed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_of_something_in_between_does_not() {
    let host = start(&[]).await;
    for body in ["<html>no such page</html>", "", "{}", r#"{"code":"not.found"}"#] {
        let body = Some(body.to_owned());
        let effect = Effect::Status { code: 404, retry_after: None, body };
        stays_pending(&host, 1, effect, "404").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failure_leaves_it_stuck_until_it_is_asked_for() {
    let host = start(&[("REVOKE_MAX_ATTEMPTS", "1")]).await;
    let guest = end_one(&host, 1, status(500)).await;
    let job = tried(&host, "stuck", &guest).await;
    assert_eq!((&job["state"], &job["nextAttemptAt"]), (&json!("stuck"), &Value::Null));
    assert!(job["lastError"].as_str().expect("an error").contains("500"), "{job}");
    assert_eq!(figure(&host, "gauges", "stuckRevocations").await, 1);
    pause(ms(1200)).await;
    assert_eq!(host.sim.count(CallKind::Invalidate), 1, "a stuck one is left alone");
    let retry = host.operate("POST", &format!("/v1/revocations/{guest}/retry")).await;
    assert_eq!(retry.status, 202);
    invalidated(&host, &guest).await;
    is_gone(&host, &guest).await;
    assert_eq!(figure(&host, "gauges", "stuckRevocations").await, 0);
    assert_eq!(figure(&host, "counters", "revoked").await, 1);
}

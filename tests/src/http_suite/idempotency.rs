//! Idempotency keys.

use genesys_sim::{CallKind, Effect, Fault, On};

use super::{Session, device, figure, listed};
use crate::host::{Host, issue};
use crate::http_client::Request;

fn keyed(fingerprint: &str, key: &str) -> Request {
    issue(fingerprint).header("Idempotency-Key", key)
}

/// The first answer again, without another guest.
pub async fn a_repeat_returns_the_first_answer(host: &Host) {
    let fingerprint = device();
    let replayed = figure(host, "counters", "replayed").await;
    let first = host.send(&keyed(&fingerprint, "key-1")).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    for _ in 0..5 {
        let again = host.send(&keyed(&fingerprint, "key-1")).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(Session::of(&again), Session::of(&first));
    }
    assert_eq!(listed(host, &fingerprint).await.len(), 1);
    assert!(figure(host, "counters", "replayed").await >= replayed + 5);
}

/// Bodies are compared as JSON.
pub async fn another_layout_of_the_body_is_the_same_request(host: &Host) {
    let fingerprint = device();
    let first = host
        .send(&keyed(&fingerprint, "k").json(r#"{"routing":{"a":1,"b":[true,"\u00e9"]}}"#))
        .await;
    let same = "{ \"routing\": {\"b\" : [ true, \"é\" ],\n\"a\": 1.0} }";
    let again = host.send(&keyed(&fingerprint, "k").json(same)).await;
    assert_eq!(Session::of(&again), Session::of(&first));
    for other in [r#"{"routing":{"a":2,"b":[true,"é"]}}"#, r#"{"routing":{}}"#, "{}", ""] {
        let reply = host.send(&keyed(&fingerprint, "k").json(other)).await;
        let _ = reply.problem(422, "idempotency_mismatch");
    }
    let empty = host.send(&keyed(&fingerprint, "empty")).await;
    let braces = host.send(&keyed(&fingerprint, "empty").json(" { } ")).await;
    assert_eq!(Session::of(&braces), Session::of(&empty));
}

/// A key belongs to its device.
pub async fn two_devices_may_use_one_key(host: &Host) {
    let first = Session::of(&host.send(&keyed(&device(), "shared")).await);
    let second = Session::of(&host.send(&keyed(&device(), "shared")).await);
    assert_ne!(first.guest_id, second.guest_id);
}

/// 1 to 128 visible ASCII characters, once.
pub async fn a_key_is_visible_ascii_sent_once(host: &Host) {
    let longest = "k".repeat(128);
    for good in ["k", "!~", "a,b;c", &longest] {
        let _ = Session::of(&host.send(&keyed(&device(), good)).await);
    }
    let long = "k".repeat(129);
    for bad in ["", "a b", "a, b", "tab\there", &long, "ümlaut"] {
        let problem =
            host.send(&keyed(&device(), bad)).await.problem(400, "invalid_idempotency_key");
        assert!(problem.detail.contains("Idempotency-Key"));
    }
    let twice = keyed(&device(), "k").header("Idempotency-Key", "k");
    let _ = host.send(&twice).await.problem(400, "invalid_idempotency_key");
}

/// While the first is still running.
pub async fn a_repeat_of_a_running_request_is_told_to_wait(host: &Host) {
    let fingerprint = device();
    host.sim.fault(Fault::once(On::Create, Effect::Latency(700)));
    let first = keyed(&fingerprint, "slow");
    let (first, second) = tokio::join!(host.send(&first), async {
        crate::real_time::eventually("the first create", crate::wait::ms(3000), async || {
            (figure(host, "gauges", "inFlight").await > 0).then_some(())
        })
        .await;
        let mismatch = host.send(&keyed(&fingerprint, "slow").json(r#"{"routing":{}}"#)).await;
        let _ = mismatch.problem(422, "idempotency_mismatch");
        host.send(&keyed(&fingerprint, "slow")).await
    });
    let problem = second.problem(409, "idempotency_in_flight");
    assert_eq!(problem.retry_after, Some(1));
    let again = host.send(&keyed(&fingerprint, "slow")).await;
    assert_eq!(Session::of(&again), Session::of(&first));
}

/// Only a 201 binds a key.
pub async fn a_failure_frees_the_key(host: &Host) {
    let fingerprint = device();
    let refusal = Effect::Status { code: 400, retry_after: None, body: None };
    host.sim.fault(Fault::once(On::Create, refusal));
    let _ = host.send(&keyed(&fingerprint, "retried")).await.problem(502, "genesys_rejected");
    let creates = host.sim.count(CallKind::Create);
    let other_body = keyed(&fingerprint, "retried").json(r#"{"routing":{"queueId":"q"}}"#);
    let reply = host.send(&other_body).await;
    assert_eq!(reply.header("idempotency-replayed"), None);
    let _ = Session::of(&reply);
    assert_eq!(host.sim.count(CallKind::Create), creates + 1);
}

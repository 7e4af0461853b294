//! Revocations as operators see and decide them.

use genesys_sim::{Effect, Fault, On};
use serde_json::{Value, json};

use super::{Session, device, figure, guest_ids, invalidated};
use crate::host::{Host, sessions};
use crate::real_time::eventually;
use crate::wait::ms;

async fn list(host: &Host, query: &str) -> Vec<Value> {
    let body = host.operate("GET", &format!("/v1/revocations{query}")).await.expect(200).json();
    assert_eq!(body.as_object().expect("an object").len(), 1);
    body["revocations"].as_array().expect("a list").clone()
}

/// Ends a session whose revocation then fails for good, since one attempt is all there is.
async fn stuck(host: &Host) -> Session {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    host.sim.fault(Fault::once(
        On::Invalidate,
        Effect::Status { code: 500, retry_after: None, body: None },
    ));
    let _ = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    eventually("the revocation is stuck", ms(5000), async || {
        guest_ids(&list(host, "?state=stuck").await).contains(&session.guest_id).then_some(())
    })
    .await;
    session
}

/// One that failed too often stays visible.
pub async fn a_stuck_revocation_is_listed(host: &Host) {
    let session = stuck(host).await;
    let all = list(host, "?limit=1000&state=stuck").await;
    let shown =
        all.iter().find(|item| item["guestId"] == session.guest_id.as_str()).expect("it is listed");
    let fields = shown.as_object().expect("an object");
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["attempts", "enqueuedAt", "guestId", "lastError", "nextAttemptAt", "reason", "state"]
    );
    assert_eq!(shown["reason"], "ended");
    assert_eq!(shown["state"], "stuck");
    assert_eq!(shown["attempts"], 1);
    assert_eq!(shown["nextAttemptAt"], Value::Null);
    assert!(shown["lastError"].as_str().is_some_and(|error| error.contains("500")), "{shown}");
    assert!(shown["enqueuedAt"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert!(figure(host, "gauges", "stuckRevocations").await >= 1);
    assert!(!host.sim.invalidated(&session.guest_id));
}

/// Retried on request.
pub async fn a_stuck_revocation_is_retried_on_request(host: &Host) {
    let session = stuck(host).await;
    let path = format!("/v1/revocations/{}/retry", session.guest_id);
    let reply = host.operate("POST", &path).await.expect(202);
    assert_eq!(reply.json(), json!({}));
    invalidated(host, &session.guest_id).await;
    eventually("the revocation is gone", ms(3000), async || {
        (host.operate("POST", &path).await.status == 404).then_some(())
    })
    .await;
    let _ = host.operate("POST", &path).await.problem(404, "revocation_not_found");
}

/// Given up on request.
pub async fn a_stuck_revocation_is_given_up_on_request(host: &Host) {
    let session = stuck(host).await;
    let abandoned = figure(host, "counters", "abandoned").await;
    let path = format!("/v1/revocations/{}", session.guest_id);
    let reply = host.operate("DELETE", &path).await.expect(204);
    assert!(reply.body.is_empty());
    let _ = host.operate("DELETE", &path).await.problem(404, "revocation_not_found");
    assert_eq!(figure(host, "counters", "abandoned").await, abandoned + 1);
    assert!(!guest_ids(&list(host, "?state=stuck").await).contains(&session.guest_id));
}

/// Pending ones wait while Genesys asks for rest, soonest first.
pub async fn pending_revocations_are_listed_soonest_first(launch: &impl crate::host::Launch) {
    let host = launch.start(&[]).await;
    let fingerprint = device();
    for _ in 0..3 {
        let _ = Session::issue(&host, &fingerprint).await;
    }
    let rest = Effect::Status { code: 429, retry_after: Some("60".to_owned()), body: None };
    host.sim.fault(Fault::once(On::Create, rest));
    let problem = host.issue(&device()).await.problem(503, "genesys_rate_limited");
    assert!(problem.retry_after.is_some_and(|seconds| (59..=60).contains(&seconds)));
    let _ = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    let all = list(&host, "").await;
    assert_eq!(all.len(), 3);
    for item in &all {
        assert_eq!((&item["state"], &item["reason"]), (&json!("pending"), &json!("ended")));
        assert_eq!(item["attempts"], 0);
        assert_eq!(item["lastError"], Value::Null);
        assert!(item["nextAttemptAt"].is_string());
    }
    let times: Vec<_> =
        all.iter().map(|item| item["nextAttemptAt"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(list(&host, "?limit=2").await.len(), 2);
    assert!(list(&host, "?state=stuck").await.is_empty());
    assert_eq!(figure(&host, "gauges", "pendingRevocations").await, 3);
    assert!((1..=60).contains(&figure(&host, "gauges", "coolDownSeconds").await));
}

/// `state` and `limit`, each once.
pub async fn invalid_query(host: &Host) {
    for good in ["", "?", "?state=pending", "?state=stuck&limit=1", "?limit=1000"] {
        let _ = list(host, good).await;
    }
    for bad in [
        "?state=",
        "?state=gone",
        "?state=Pending",
        "?limit=0",
        "?limit=1001",
        "?limit=-1",
        "?limit=+5",
        "?limit=x",
        "?limit=",
        "?limit=1&limit=2",
        "?state=stuck&state=stuck",
        "?other=1",
        "?state",
        "?limit=99999999999999999999",
        "?state=st%75ck",
    ] {
        let problem = host
            .operate("GET", &format!("/v1/revocations{bad}"))
            .await
            .problem(400, "invalid_query");
        assert!(problem.detail.contains("state") || problem.detail.contains("limit"), "{bad}");
    }
}

//! What happens at the same time: issues of one device, repeats of one key, calls while Genesys rests.

use futures_util::future::join_all;
use genesys_sim::{CallKind, Effect, Fault, On};

use super::{Session, by_guest, device, figure, invalidated, listed};
use crate::host::{Host, Launch, issue, sessions};
use crate::http_client::Reply;
use crate::real_time::eventually;
use crate::wait::ms;

/// P1 as far as one caller can see it; creation order is strict.
pub async fn the_cap_holds_under_simultaneous_issues(host: &Host) {
    let fingerprint = device();
    let replies = join_all((0..12).map(|_| host.issue(&fingerprint))).await;
    for refused in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(refused.problem(429, "device_busy").retry_after, Some(1));
    }
    let issued = replies.iter().filter(|reply| reply.status == 201);
    assert!(issued.count() >= 3);
    let sessions = listed(host, &fingerprint).await;
    let times: Vec<_> = sessions.iter().map(|session| session["createdAt"].as_str()).collect();
    assert_eq!(times.len(), 3);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

/// However many come at once, one guest is made.
pub async fn simultaneous_repeats_make_one_guest(host: &Host) {
    host.sim.fault(Fault::once(On::Create, Effect::Latency(150)));
    let creates = host.sim.count(CallKind::Create);
    let request = issue(&device()).header("Idempotency-Key", "key");
    let replies = join_all((0..8).map(|_| host.send(&request))).await;
    assert_eq!(host.sim.count(CallKind::Create), creates + 1);
    let is_first = |reply: &Reply| {
        if reply.status != 201 {
            let _ = reply.problem(409, "idempotency_in_flight");
        }
        reply.status == 201 && reply.header("idempotency-replayed").is_none()
    };
    assert_eq!(replies.into_iter().filter(is_first).count(), 1);
}

/// A key is free again however its request failed, also where a guest may have come of it.
pub async fn every_failure_frees_its_key(host: &Host) {
    let status = |code| Effect::Status { code, retry_after: None, body: None };
    for (effect, failed) in [
        (status(500), 502),
        (Effect::ResetAfter, 502),
        (Effect::MalformedBody("no guest".to_owned()), 502),
        (Effect::DropField("guestToken".to_owned()), 502),
        (Effect::Hang { after_work: false }, 504),
    ] {
        let fingerprint = device();
        let keyed = issue(&fingerprint).header("Idempotency-Key", "key");
        host.sim.fault(Fault::once(On::Create, effect.clone()));
        assert_eq!(host.send(&keyed).await.status, failed, "{effect:?}");
        let again = host.send(&keyed.json(r#"{"routing":{"n":2}}"#)).await;
        assert_eq!(again.header("idempotency-replayed"), None, "{effect:?}");
        assert_eq!(Session::of(&again).evicted, 0, "{effect:?}");
    }
}

/// Whoever was evicted can neither renew nor end.
pub async fn an_evicted_session_is_gone_for_its_guest(host: &Host) {
    let fingerprint = device();
    let evicted = Session::issue(host, &fingerprint).await;
    for _ in 0..3 {
        let _ = Session::issue(host, &fingerprint).await;
    }
    let path = format!("{}/{}", sessions(&fingerprint), evicted.guest_id);
    for (method, target) in [("POST", format!("{path}/renew")), ("DELETE", path)] {
        let reply = host.send(&by_guest(method, &target, &evicted)).await;
        let _ = reply.problem(404, "session_not_found");
    }
}

/// P8: after a 429 nobody calls for as long as Genesys said, revocations included.
pub async fn a_long_rest_is_told_at_once_and_kept(launch: &impl Launch) {
    let host = launch.start(&[]).await;
    let full = device();
    for _ in 0..3 {
        let _ = Session::issue(&host, &full).await;
    }
    let rest = Effect::Status { code: 429, retry_after: Some("30".to_owned()), body: None };
    host.sim.fault(Fault::once(On::Create, rest));
    let told = |reply: &Reply| {
        let seconds = reply.problem(503, "genesys_rate_limited").retry_after.expect("Retry-After");
        assert!((25..=30).contains(&seconds), "{seconds}");
    };
    told(&host.issue(&full).await);
    let calls = host.sim.calls().len();
    for _ in 0..5 {
        told(&host.issue(&device()).await);
    }
    let _ = host.operate("DELETE", &sessions(&full)).await.expect(202);
    let swept = host.operate("POST", "/v1/sweep").await.expect(200).json();
    assert_eq!(swept["revoked"], 0, "{swept}");
    assert_eq!(host.sim.calls().len(), calls);
    assert_eq!(figure(&host, "gauges", "pendingRevocations").await, 3);
    assert!((25..=30).contains(&figure(&host, "gauges", "coolDownSeconds").await));
    let _ = host.get("/readyz").await.expect(200);
}

/// What is done is counted, once.
pub async fn counters_follow_what_happens(launch: &impl Launch) {
    let host = launch.start(&[]).await;
    let fingerprint = device();
    let keyed = issue(&fingerprint).header("Idempotency-Key", "key");
    let first = Session::of(&host.send(&keyed).await);
    let _ = Session::of(&host.send(&keyed).await);
    for _ in 0..3 {
        let _ = Session::issue(&host, &fingerprint).await;
    }
    invalidated(&host, &first.guest_id).await;
    let _ = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    let wanted = [("issued", 4), ("replayed", 1), ("evicted", 1), ("ended", 3), ("revoked", 4)];
    for (name, wanted) in wanted {
        eventually(name, ms(3000), async || {
            (figure(&host, "counters", name).await == wanted).then_some(())
        })
        .await;
    }
    for gauge in ["devices", "inFlight", "pendingRevocations", "stuckRevocations"] {
        assert_eq!(figure(&host, "gauges", gauge).await, 0, "{gauge}");
    }
    assert_eq!(host.sim.count(CallKind::Token), 1);
    assert_eq!(host.sim.count(CallKind::Invalidate), 4);
}

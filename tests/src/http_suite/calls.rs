//! Every row of the table of calls, as it goes well.

use serde_json::json;

use super::{Session, by_guest, device, guest_ids, invalidated, listed, millis_between};
use crate::host::{Host, sessions};

/// `POST …/sessions`
pub async fn a_site_is_given_a_session(host: &Host) {
    let session = Session::issue(host, &device()).await;
    let guests = host.sim.guests();
    let guest = guests.iter().find(|guest| guest.id == session.guest_id);
    assert_eq!(guest.expect("Genesys knows the guest").token, session.token);
    assert_eq!(millis_between(&session.created_at, &session.expires_at), 3_600_000);
    assert_eq!(session.evicted, 0);
}

/// `GET …/sessions`
pub async fn an_operator_lists_sessions_oldest_first_and_without_tokens(host: &Host) {
    let fingerprint = device();
    assert_eq!(listed(host, &fingerprint).await, [json!(null); 0]);
    let mut issued = Vec::new();
    for _ in 0..3 {
        issued.push(Session::issue(host, &fingerprint).await);
    }
    let reply = host.operate("GET", &sessions(&fingerprint)).await.expect(200);
    let expires_at = &issued[2].expires_at;
    let shown = |session: &Session| json!({ "guestId": session.guest_id, "createdAt": session.created_at, "expiresAt": expires_at });
    let wanted: Vec<_> = issued.iter().map(shown).collect();
    assert_eq!(reply.json(), json!({ "sessions": wanted }));
    assert!(issued.iter().all(|session| !reply.text().contains(&session.token)));
    assert!(
        issued[0].created_at < issued[1].created_at && issued[1].created_at < issued[2].created_at
    );
}

/// `POST …/sessions/{guestId}/renew`
pub async fn a_guest_renews_its_session(host: &Host) {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    let path = format!("{}/{}/renew", sessions(&fingerprint), session.guest_id);
    crate::wait::pause(crate::wait::ms(20)).await;
    let body = host.send(&by_guest("POST", &path, &session)).await.expect(200).json();
    let expires_at = body["expiresAt"].as_str().expect("expiresAt").to_owned();
    assert_eq!(body, json!({ "guestId": session.guest_id, "expiresAt": expires_at }));
    assert!(millis_between(&session.expires_at, &expires_at) >= 20);
    assert_eq!(listed(host, &fingerprint).await[0]["expiresAt"], expires_at.as_str());
}

/// `DELETE …/sessions/{guestId}`
pub async fn a_guest_ends_its_session(host: &Host) {
    let fingerprint = device();
    let kept = Session::issue(host, &fingerprint).await;
    let session = Session::issue(host, &fingerprint).await;
    let path = format!("{}/{}", sessions(&fingerprint), session.guest_id);
    let reply = host.send(&by_guest("DELETE", &path, &session)).await.expect(202);
    assert_eq!(reply.json(), json!({ "revocations": 1 }));
    assert_eq!(guest_ids(&listed(host, &fingerprint).await), std::slice::from_ref(&kept.guest_id));
    invalidated(host, &session.guest_id).await;
    assert!(!host.sim.invalidated(&kept.guest_id));
    let _ = host.send(&by_guest("DELETE", &path, &session)).await.problem(404, "session_not_found");
}

/// `DELETE …/sessions/{guestId}`
pub async fn an_operator_ends_any_session(host: &Host) {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    let path = format!("{}/{}", sessions(&fingerprint), session.guest_id);
    let reply = host.operate("DELETE", &path).await.expect(202);
    assert_eq!(reply.json(), json!({ "revocations": 1 }));
    invalidated(host, &session.guest_id).await;
    let _ = host.operate("DELETE", &path).await.problem(404, "session_not_found");
}

/// `DELETE …/sessions`
pub async fn an_operator_ends_all_sessions(host: &Host) {
    let fingerprint = device();
    let issued =
        [Session::issue(host, &fingerprint).await, Session::issue(host, &fingerprint).await];
    let reply = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    assert_eq!(reply.json(), json!({ "revocations": 2 }));
    for session in &issued {
        invalidated(host, &session.guest_id).await;
    }
    let again = host.operate("DELETE", &sessions(&fingerprint)).await.expect(202);
    assert_eq!(again.json(), json!({ "revocations": 0 }));
    assert!(listed(host, &fingerprint).await.is_empty());
}

/// `POST /v1/sweep`
pub async fn an_operator_sweeps(host: &Host) {
    let body = host.operate("POST", "/v1/sweep").await.expect(200).json();
    let fields = body.as_object().expect("an object");
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["expired", "retried", "revoked", "stuck"]);
    assert!(fields.values().all(serde_json::Value::is_u64), "{body}");
}

/// `GET /healthz`
pub async fn anyone_learns_that_the_process_runs(host: &Host) {
    assert_eq!(host.get("/healthz").await.expect(200).json(), json!({ "status": "ok" }));
}

/// `GET /readyz`
pub async fn anyone_learns_that_the_store_answers(host: &Host) {
    assert_eq!(host.get("/readyz").await.expect(200).json(), json!({ "status": "ready" }));
}

/// `GET /openapi.json`
pub async fn anyone_reads_the_description_of_every_call(host: &Host) {
    let document = host.get("/openapi.json").await.expect(200).json();
    let version = document["openapi"].as_str().expect("a version");
    assert!(version.starts_with("3.1."), "{version}");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let calls = [
        ("/v1/devices/{fingerprint}/sessions", &["get", "post", "delete"][..], "201"),
        ("/v1/devices/{fingerprint}/sessions/{guestId}", &["delete"], "202"),
        ("/v1/devices/{fingerprint}/sessions/{guestId}/renew", &["post"], "200"),
        ("/v1/revocations", &["get"], "200"),
        ("/v1/revocations/{guestId}", &["delete"], "204"),
        ("/v1/revocations/{guestId}/retry", &["post"], "202"),
        ("/v1/sweep", &["post"], "200"),
        ("/v1/stats", &["get"], "200"),
        ("/metrics", &["get"], "200"),
        ("/healthz", &["get"], "200"),
        ("/readyz", &["get"], "200"),
        ("/openapi.json", &["get"], "200"),
    ];
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), calls.len(), "{:?}", paths.keys());
    for (path, methods, success) in calls {
        let item = paths.get(path).unwrap_or_else(|| panic!("{path} is missing"));
        let known = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let described: Vec<_> = known.iter().filter(|method| item[**method].is_object()).collect();
        assert_eq!(described.len(), methods.len(), "{path}: {described:?}");
        for method in methods {
            assert!(item[*method]["responses"].is_object(), "{method} {path}");
        }
        let answers = |method: &&str| item[*method]["responses"][success].is_object();
        assert!(methods.iter().any(answers), "{path} never answers {success}");
    }
}

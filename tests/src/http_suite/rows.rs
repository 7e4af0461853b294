//! A test for each row of the table of errors that takes no fault, named after its code. The rows that do are in
//! `errors`, `limits` and `races`; `internal` is a bug, and `store_unavailable` a host's own affair.

use super::{Session, device};
use crate::host::{Host, OPERATOR, issue, sessions};
use crate::http_client::Request;

/// 400; the value is not repeated.
pub async fn invalid_fingerprint(host: &Host) {
    for bad in ["", "short"] {
        let problem = host.issue(bad).await.problem(400, "invalid_fingerprint");
        assert!(problem.detail.contains("8 to 256") && !problem.detail.contains("short"));
    }
}

/// 400, on every route that takes one.
pub async fn invalid_guest_id(host: &Host) {
    let path = sessions(&device());
    for (method, target) in [
        ("DELETE", format!("{path}/")),
        ("POST", format!("{path}//renew")),
        ("DELETE", "/v1/revocations/".to_owned()),
        ("POST", "/v1/revocations//retry".to_owned()),
    ] {
        let problem = host.operate(method, &target).await.problem(400, "invalid_guest_id");
        assert!(problem.detail.contains("1 to 128"), "{}", problem.detail);
    }
}

/// 400; the detail says where.
pub async fn invalid_body(host: &Host) {
    let reply = host.send(&issue(&device()).json("{\n  \"routing\": }")).await;
    let problem = reply.problem(400, "invalid_body");
    assert!(problem.detail.contains("line 2"), "{}", problem.detail);
}

/// 400
pub async fn invalid_idempotency_key(host: &Host) {
    let request = issue(&device()).header("Idempotency-Key", "two words");
    let problem = host.send(&request).await.problem(400, "invalid_idempotency_key");
    assert!(problem.detail.contains("1 to 128"), "{}", problem.detail);
}

/// 401
pub async fn unauthorized(host: &Host) {
    let reply = host.get("/v1/stats").await;
    let _ = reply.problem(401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="guestpass""#));
    // A session's token makes nobody an operator.
    let session = Session::issue(host, &device()).await;
    let request = super::by_guest("GET", "/v1/stats", &session);
    let _ = host.send(&request).await.problem(401, "unauthorized");
}

/// 403
pub async fn origin_not_allowed(host: &Host) {
    let site = issue(&device()).bearer("first-site-key");
    let reply = host.send(&site.header("Origin", "https://c.example")).await;
    let problem = reply.problem(403, "origin_not_allowed");
    assert!(problem.detail.contains("ALLOWED_ORIGINS") && !problem.detail.contains("c.example"));
}

/// 403; even with what was a token once.
pub async fn operator_disabled(host: &Host) {
    let problem = host.operate("GET", "/v1/stats").await.problem(403, "operator_disabled");
    assert!(problem.detail.contains("OPERATOR_TOKEN") && !problem.detail.contains(OPERATOR));
}

/// 404
pub async fn route_not_found(host: &Host) {
    let _ = host.get("/v1/nothing").await.problem(404, "route_not_found");
}

/// 404
pub async fn session_not_found(host: &Host) {
    let path = format!("{}/unknown-guest", sessions(&device()));
    let _ = host.operate("DELETE", &path).await.problem(404, "session_not_found");
}

/// 404
pub async fn revocation_not_found(host: &Host) {
    for (method, target) in
        [("DELETE", "/v1/revocations/unknown"), ("POST", "/v1/revocations/unknown/retry")]
    {
        let _ = host.operate(method, target).await.problem(404, "revocation_not_found");
    }
}

/// 405
pub async fn method_not_allowed(host: &Host) {
    let reply = host.send(&Request::new("DELETE", "/v1/stats")).await;
    let _ = reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
}

/// 413
pub async fn body_too_large(host: &Host) {
    let request = issue(&device()).json(vec![b' '; 16 * 1024 + 1]);
    let _ = host.send(&request).await.problem(413, "body_too_large");
}

/// 415
pub async fn unsupported_media_type(host: &Host) {
    let request = issue(&device()).header("Content-Type", "text/plain").body("{}");
    let _ = host.send(&request).await.problem(415, "unsupported_media_type");
}

/// 422
pub async fn idempotency_mismatch(host: &Host) {
    let request = issue(&device()).header("Idempotency-Key", "key");
    let _ = Session::of(&host.send(&request).await);
    let other = request.json(r#"{"routing":{}}"#);
    let _ = host.send(&other).await.problem(422, "idempotency_mismatch");
}

//! The contract of answers: which statuses and codes there are, and what every answer carries.

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde_json::Value;

/// Status and code of every problem that a caller can get. `internal` is a bug, and no answer of the contract.
const PROBLEMS: [(u64, &str); 25] = [
    (400, "invalid_fingerprint"),
    (400, "invalid_guest_id"),
    (400, "invalid_body"),
    (400, "invalid_query"),
    (400, "invalid_idempotency_key"),
    (401, "unauthorized"),
    (403, "origin_not_allowed"),
    (403, "operator_disabled"),
    (404, "route_not_found"),
    (404, "session_not_found"),
    (404, "revocation_not_found"),
    (405, "method_not_allowed"),
    (409, "idempotency_in_flight"),
    (413, "body_too_large"),
    (415, "unsupported_media_type"),
    (422, "idempotency_mismatch"),
    (429, "rate_limited"),
    (429, "device_busy"),
    (502, "genesys_unauthorized"),
    (502, "genesys_forbidden"),
    (502, "genesys_rejected"),
    (502, "genesys_failed"),
    (503, "genesys_rate_limited"),
    (503, "store_unavailable"),
    (504, "genesys_timeout"),
];

/// Secrets of the world, of which no answer but a new session's may hold one.
pub(crate) const SECRETS: [&str; 4] =
    ["client-secret-s3cr3t", "operator-token-s3cr3t", "rest-token-s3cr3t", "access-token-s3cr3t"];

/// Checks an answer, in which none of these secrets may stand.
pub(crate) fn check(method: &Method, response: &Response<Bytes>, secrets: &[&str]) {
    let (status, headers, body) = (response.status().as_u16(), response.headers(), response.body());
    let id = text(headers, "x-request-id");
    assert!((1..=64).contains(&id.len()), "a request id of {} characters", id.len());
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "a request id {id:?}");
    assert_eq!(text(headers, "cache-control"), "no-store");
    assert_eq!(text(headers, "vary"), "Origin");
    assert_eq!(
        text(headers, "access-control-expose-headers"),
        "X-Request-Id, Retry-After, Idempotency-Replayed"
    );
    let shown = String::from_utf8_lossy(body);
    for secret in secrets {
        assert!(!shown.contains(secret), "an answer shows {secret}");
    }
    if matches!(status, 200 | 201 | 202 | 204) {
        assert!(!headers.contains_key("retry-after"), "a success with Retry-After");
        if status == 204 {
            assert!(body.is_empty(), "a 204 with a body");
        } else if *method != Method::HEAD && text(headers, "content-type") == "application/json" {
            let _: Value = serde_json::from_slice(body).expect("a body of JSON");
        }
        return;
    }
    assert_eq!(text(headers, "content-type"), "application/problem+json", "{status}");
    assert_eq!(headers.contains_key("www-authenticate"), status == 401);
    assert_eq!(headers.contains_key("allow"), status == 405);
    if *method == Method::HEAD {
        assert!(PROBLEMS.iter().any(|(known, _)| *known == u64::from(status)), "status {status}");
        assert!(body.is_empty(), "a HEAD with a body");
        return;
    }
    let problem: Value = serde_json::from_slice(body).expect("a problem of JSON");
    let code = problem["code"].as_str().expect("a code");
    assert!(PROBLEMS.contains(&(u64::from(status), code)), "{status} {code}");
    assert_eq!(problem["status"].as_u64(), Some(u64::from(status)));
    assert_eq!(problem["requestId"].as_str(), Some(id));
    assert_eq!(problem["type"], format!("urn:guestpass:problem:{code}"));
    for field in ["title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}");
    }
    let retry_after = headers.get("retry-after").map(|value| value.to_str().expect("text"));
    let seconds = problem.get("retryAfterSeconds").map(ToString::to_string);
    assert_eq!(retry_after, seconds.as_deref(), "Retry-After in header and body");
    if matches!(status, 409 | 429 | 503) {
        assert!(seconds.is_some_and(|text| text != "0"), "{status} without Retry-After");
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    assert!(values.next().is_none(), "{name} twice");
    value.unwrap_or_default()
}

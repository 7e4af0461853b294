//! What every answer carries, errors included.

use super::device;
use crate::host::{Host, issue, sessions};
use crate::http_client::{Reply, Request};

async fn answers(host: &Host) -> Vec<Reply> {
    let device = device();
    let requests = [
        issue(&device),
        issue(&device).json("nonsense"),
        issue("short"),
        Request::new("GET", &sessions(&device)),
        Request::new("PUT", &sessions(&device)),
        Request::new("GET", "/nothing"),
        Request::new("GET", "/healthz"),
        Request::new("HEAD", "/healthz"),
        Request::new("GET", "/readyz"),
        Request::new("GET", "/openapi.json"),
        Request::new("GET", "/metrics").bearer(crate::host::OPERATOR),
        Request::new("DELETE", "/v1/revocations/nobody").bearer(crate::host::OPERATOR),
        Request::new("OPTIONS", "/v1/stats")
            .header("Origin", "https://a.example")
            .header("Access-Control-Request-Method", "GET"),
    ];
    let mut replies = Vec::new();
    for request in requests {
        replies.push(host.send(&request).await);
    }
    replies
}

/// `X-Request-Id`, `Cache-Control`, `Vary`, and what scripts may see.
pub async fn every_answer_carries_the_common_headers(host: &Host) {
    let mut ids = Vec::new();
    for reply in answers(host).await {
        let id = reply.header("x-request-id").expect("a request id").to_owned();
        assert!((1..=64).contains(&id.len()), "{id}");
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{id}");
        ids.push(id);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("vary"), Some("Origin"));
        let exposed = reply.header("access-control-expose-headers");
        assert_eq!(exposed, Some("X-Request-Id, Retry-After, Idempotency-Replayed"));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "request ids repeat");
}

/// The caller's id is kept when it is one.
pub async fn a_callers_request_id_is_echoed_if_it_is_one(host: &Host) {
    let longest = "a".repeat(64);
    for id in ["a", "A-1", "0f8fad5b-d9cb-469f-a165-70867728950e", &longest] {
        let reply = host.send(&Request::new("GET", "/healthz").header("X-Request-Id", id)).await;
        assert_eq!(reply.header("x-request-id"), Some(id));
    }
    let long = "a".repeat(65);
    for id in ["", "has space", "under_score", "dot.ted", &long, "ümlaut"] {
        let reply = host.send(&Request::new("GET", "/healthz").header("X-Request-Id", id)).await;
        let new = reply.header("x-request-id").expect("a new id");
        assert!(new != id && !new.is_empty(), "{id}");
    }
    let twice =
        Request::new("GET", "/healthz").header("X-Request-Id", "a").header("X-Request-Id", "b");
    let reply = host.send(&twice).await;
    assert!(!["a", "b", "a, b"].contains(&reply.header("x-request-id").expect("a new id")));
}

/// HEAD is GET without the body.
pub async fn head_is_get_without_its_body(host: &Host) {
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        let reply = host.send(&Request::new("HEAD", path)).await.expect(200);
        assert!(reply.body.is_empty(), "{path}");
    }
}

/// An empty value is none, except behind another one: there it repeats the header.
pub async fn a_header_without_a_value_counts_for_nothing(host: &Host) {
    for name in ["Authorization", "Origin", "Content-Type"] {
        let _ = host.send(&issue(&device()).header(name, "").body("{}")).await.expect(201);
        let twice = issue(&device()).header(name, "").header(name, "");
        let _ = host.send(&twice.body("{}")).await.expect(201);
    }
    let empty_first = issue(&device()).header("Authorization", "").bearer("anything");
    let _ = host.send(&empty_first).await.expect(201);
    let empty_last = issue(&device()).bearer("anything").header("Authorization", "");
    let _ = host.send(&empty_last).await.problem(401, "unauthorized");
    let origin = issue(&device()).header("Origin", "https://a.example").header("Origin", "");
    let _ = host.send(&origin).await.problem(403, "origin_not_allowed");
}

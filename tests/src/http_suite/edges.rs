//! The edges of what HTTP lets a caller send: dot segments, HEAD, errors seen from a page.

use super::device;
use crate::host::{Host, issue, sessions};
use crate::http_client::Request;

/// Dot segments are 404, encoded or not, sent as they are.
pub async fn dot_segments_are_no_route(host: &Host) {
    for target in [
        "/v1/devices/../sessions",
        "/v1/devices/./sessions",
        "/v1/devices/%2e%2E/sessions",
        "/v1/devices/.%2e/sessions",
        "/v1/devices/device-1234/sessions/..",
        "/v1/devices/device-1234/sessions/%2e%2e",
        "/v1/devices/device-1234/sessions/../renew",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let _ = host.operate(method, target).await.problem(404, "route_not_found");
        }
    }
}

/// HEAD says what GET would, for operators and errors too.
pub async fn head_answers_like_get(host: &Host) {
    let path = sessions(&device());
    for target in [path.as_str(), "/v1/revocations", "/v1/stats", "/metrics", "/openapi.json"] {
        let head = host.operate("HEAD", target).await.expect(200);
        let get = host.operate("GET", target).await.expect(200);
        assert_eq!(head.header("content-type"), get.header("content-type"), "{target}");
    }
    for (target, status) in [("/v1/sweep", 405), ("/nowhere", 404), ("/v1/stats?x=1", 400)] {
        let reply = host.operate("HEAD", target).await.expect(status);
        assert!(reply.header("x-request-id").is_some(), "{target}");
    }
    let _ = host.send(&Request::new("HEAD", "/v1/stats")).await.expect(401);
}

/// Who may call is settled before what is asked.
pub async fn strangers_learn_nothing_from_their_mistakes(host: &Host) {
    for (method, target) in [
        ("GET", "/v1/devices/bad/sessions"),
        ("DELETE", "/v1/devices/bad/sessions/%20"),
        ("POST", "/v1/devices/bad/sessions/%20/renew"),
        ("GET", "/v1/revocations?limit=0"),
        ("POST", "/v1/sweep?x=1"),
    ] {
        let request = Request::new(method, target);
        let _ = host.send(&request).await.problem(401, "unauthorized");
    }
}

/// A page of an allowed origin sees its errors as well as its successes.
pub async fn pages_see_their_errors(host: &Host) {
    let origin = "https://b.example:8443";
    let site = issue(&device()).bearer("second-site-key").header("Origin", origin);
    let requests = [
        (201, site.clone()),
        (400, site.clone().json("nonsense")),
        (415, site.clone().header("Content-Type", "text/plain").body("{}")),
        (413, site.clone().body("x".repeat(20_000))),
        (401, issue(&device()).header("Origin", origin)),
        (404, Request::new("GET", "/nowhere").header("Origin", origin)),
        (405, Request::new("PUT", "/healthz").header("Origin", origin)),
    ];
    for (status, request) in requests {
        let reply = host.send(&request).await.expect(status);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{status}");
        assert_eq!(reply.header("vary"), Some("Origin"), "{status}");
    }
}

/// The list of origins is about issues; an operator's tool may stand anywhere.
pub async fn operators_may_call_from_any_page(host: &Host) {
    let stats = Request::new("GET", "/v1/stats").bearer("first-operator-token");
    let reply = host.send(&stats.header("Origin", "https://c.example")).await.expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

//! Pages of other origins.

use super::{Session, device};
use crate::host::{Host, issue, sessions};
use crate::http_client::{Reply, Request};

fn preflight(path: &str, origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,idempotency-key,content-type")
}

fn allows(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

/// With no list, any origin; errors say so too.
pub async fn any_origin_is_allowed_until_some_are_named(host: &Host) {
    let path = sessions(&device());
    let reply = host.send(&preflight(&path, "https://any.example", "POST")).await.expect(204);
    assert_eq!(allows(&reply), Some("*"));
    let methods = reply.header("access-control-allow-methods").expect("methods");
    for method in ["GET", "POST", "DELETE"] {
        assert!(methods.contains(method), "{methods}");
    }
    let headers = reply.header("access-control-allow-headers").expect("headers").to_lowercase();
    for header in ["authorization", "content-type", "idempotency-key", "x-request-id"] {
        assert!(headers.contains(header), "{headers}");
    }
    let issued = host.send(&issue(&device()).header("Origin", "https://any.example")).await;
    assert_eq!(allows(&issued), Some("*"));
    let _ = Session::of(&issued);
    assert_eq!(allows(&host.get("/nothing").await), Some("*"));
    assert_eq!(allows(&host.get("/v1/stats").await), Some("*"));
}

/// Only those of the list are told that they may.
pub async fn only_named_origins_are_allowed(host: &Host) {
    let path = sessions(&device());
    for origin in ["https://a.example", "https://b.example:8443"] {
        let reply = host.send(&preflight(&path, origin, "POST")).await.expect(204);
        assert_eq!(allows(&reply), Some(origin));
        let request = issue(&device()).bearer("first-site-key").header("Origin", origin);
        let issued = host.send(&request).await;
        assert_eq!(allows(&issued), Some(origin));
        let _ = Session::of(&issued);
    }
    for origin in [
        "https://c.example",
        "http://a.example",
        "https://a.example:8443",
        "null",
        "https://a.example.evil",
    ] {
        let reply = host.send(&preflight(&path, origin, "POST")).await;
        let _ = reply.problem(403, "origin_not_allowed");
        assert_eq!(allows(&reply), None);
        let request = issue(&device()).bearer("first-site-key").header("Origin", origin);
        let refused = host.send(&request).await;
        let _ = refused.problem(403, "origin_not_allowed");
        assert_eq!(allows(&refused), None);
    }
    // No page, no origin: a site's own server.
    let reply = host.send(&issue(&device()).bearer("first-site-key")).await;
    assert_eq!(allows(&reply), None);
    let _ = Session::of(&reply);
}

/// A browser never sends two.
pub async fn a_repeated_origin_is_refused(host: &Host) {
    let twice = issue(&device()).header("Origin", "https://a").header("Origin", "https://a");
    let _ = host.send(&twice).await.problem(403, "origin_not_allowed");
    let joined = issue(&device()).header("Origin", "https://a, https://b");
    let _ = host.send(&joined).await.problem(403, "origin_not_allowed");
}

/// OPTIONS without a preflight's headers is a method like any other.
pub async fn options_alone_is_not_allowed(host: &Host) {
    let reply = host.send(&Request::new("OPTIONS", "/v1/stats")).await;
    let _ = reply.problem(405, "method_not_allowed");
    let reply = host.send(&preflight("/v1/nothing", "https://a.example", "GET")).await;
    let _ = reply.problem(404, "route_not_found");
}

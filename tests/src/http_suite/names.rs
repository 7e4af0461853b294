//! Paths: fingerprints, guest ids, and what is no route.

use super::{Session, device};
use crate::host::{Host, issue, sessions};
use crate::http_client::Request;

/// 8 to 256 characters of a small alphabet.
pub async fn a_fingerprint_has_8_to_256_plain_characters(host: &Host) {
    let start = device();
    let longest = format!("{start}{}", "x".repeat(256 - start.len()));
    for good in [format!("{start}.A_b~c-9"), longest.clone()] {
        let _ = Session::issue(host, &good).await;
    }
    let long = format!("{longest}x");
    for bad in [
        "short12",
        &long,
        "has:colon",
        "per%20cent",
        "percent%2Dencoded",
        "plus+plus",
        "comma,comma",
        "quote'quote",
        "star*star",
        "at@at@at@",
        "semi;colon",
        "equals=sign",
    ] {
        let problem = host.issue(bad).await.problem(400, "invalid_fingerprint");
        assert!(
            problem.detail.contains("fingerprint") && problem.detail.contains("8 to 256"),
            "{bad}"
        );
        assert!(!problem.detail.contains(bad), "the value is repeated");
        let _ = host.operate("GET", &sessions(bad)).await.problem(400, "invalid_fingerprint");
        let _ = host.operate("DELETE", &sessions(bad)).await.problem(400, "invalid_fingerprint");
    }
}

/// 1 to 128 characters of the same.
pub async fn a_guest_id_has_1_to_128_plain_characters(host: &Host) {
    let path = sessions(&device());
    let (longest, long) = ("g".repeat(128), "g".repeat(129));
    for good in ["g", "...", &longest] {
        let reply = host.operate("DELETE", &format!("{path}/{good}")).await;
        let _ = reply.problem(404, "session_not_found");
        let reply = host.operate("DELETE", &format!("/v1/revocations/{good}")).await;
        let _ = reply.problem(404, "revocation_not_found");
    }
    for bad in ["a%20b", "a:b", "a+b", &long] {
        let calls = [
            ("DELETE", format!("{path}/{bad}")),
            ("POST", format!("{path}/{bad}/renew")),
            ("DELETE", format!("/v1/revocations/{bad}")),
            ("POST", format!("/v1/revocations/{bad}/retry")),
        ];
        for (method, path) in calls {
            let problem = host.operate(method, &path).await.problem(400, "invalid_guest_id");
            assert!(problem.detail.contains("guestId") && problem.detail.contains("1 to 128"));
        }
    }
}

/// 404 for anyone, before anything else is looked at.
pub async fn what_is_no_route_is_not_found(host: &Host) {
    let device = device();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/stats",
        "/V1/stats",
        "/v1/stats/",
        "/v1/devices",
        "/v1/sweep/now",
        "/v1/revocations/g/again",
        "/healthz/",
        "/metrics/x",
        "/openapi",
        "/openapi.yaml",
        "/favicon.ico",
        "/robots.txt",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let _ = host.send(&Request::new(method, path)).await.problem(404, "route_not_found");
        }
    }
    let _ =
        host.operate("GET", &format!("/v1/devices/{device}")).await.problem(404, "route_not_found");
    let _ = host
        .operate("GET", &format!("{}/g/renew/x", sessions(&device)))
        .await
        .problem(404, "route_not_found");
}

/// 405 names the methods of the route.
pub async fn another_method_is_not_allowed(host: &Host) {
    let devices = sessions(&device());
    let table = [
        (devices.clone(), vec!["PUT", "PATCH"], vec!["GET", "POST", "DELETE"]),
        (format!("{devices}/g"), vec!["GET", "POST", "PUT"], vec!["DELETE"]),
        (format!("{devices}/g/renew"), vec!["GET", "DELETE"], vec!["POST"]),
        ("/v1/revocations".to_owned(), vec!["POST", "DELETE"], vec!["GET"]),
        ("/v1/revocations/g".to_owned(), vec!["GET", "POST"], vec!["DELETE"]),
        ("/v1/revocations/g/retry".to_owned(), vec!["GET", "DELETE"], vec!["POST"]),
        ("/v1/sweep".to_owned(), vec!["GET", "HEAD"], vec!["POST"]),
        ("/v1/stats".to_owned(), vec!["POST"], vec!["GET"]),
        ("/metrics".to_owned(), vec!["POST"], vec!["GET"]),
        ("/healthz".to_owned(), vec!["POST"], vec!["GET"]),
        ("/readyz".to_owned(), vec!["DELETE"], vec!["GET"]),
        ("/openapi.json".to_owned(), vec!["PUT"], vec!["GET"]),
    ];
    for (path, wrong, right) in table {
        for method in wrong {
            let reply = host.send(&Request::new(method, &path)).await;
            assert_eq!(reply.status, 405, "{method} {path}");
            if method != "HEAD" {
                let _ = reply.problem(405, "method_not_allowed");
            }
            let allow = reply.header("allow").expect("Allow");
            let listed: Vec<_> = allow.split(", ").filter(|method| *method != "HEAD").collect();
            assert_eq!(listed, right, "{path}");
        }
    }
}

/// A query is refused where none is taken.
pub async fn calls_without_a_query_refuse_one(host: &Host) {
    let reply = host.send(&Request::new("POST", &format!("{}?x=1", sessions(&device())))).await;
    let _ = reply.problem(400, "invalid_query");
    let _ = host.operate("GET", "/v1/stats?x=1").await.problem(400, "invalid_query");
    let _ = host.get("/healthz?x=1").await.expect(200);
    let _ = host.send(&issue(&device())).await.expect(201);
}

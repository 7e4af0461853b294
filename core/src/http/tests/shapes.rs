//! What answers look like: problems, preflights, HEAD, headers, and who may call.

use super::super::problem::{Code, Problem};
use super::{send, sessions};
use crate::test_support::{World, config_of, issue, json_of, request};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OPERATOR: (&str, &str) = ("authorization", "Bearer operator-token");

#[test]
fn every_problem_has_the_one_shape() {
    for code in Code::ALL {
        let answer = Problem::new(*code, "what").after(7).response("id-1");
        assert_eq!(answer.status().as_u16(), code.status());
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["retry-after"], "7");
        assert_eq!(answer.headers().contains_key("www-authenticate"), code.status() == 401);
        let body = json_of(&answer);
        let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        let expected =
            ["code", "detail", "requestId", "retryAfterSeconds", "status", "title", "type"];
        assert_eq!(names, expected);
        assert_eq!(body["status"], code.status());
        assert_eq!((&body["detail"], &body["requestId"]), (&"what".into(), &"id-1".into()));
        assert_eq!(body["type"], format!("urn:guestpass:problem:{}", code.as_str()));
        let plain = Problem::new(*code, "what").response("id-1");
        assert!(!plain.headers().contains_key("retry-after"));
        assert!(json_of(&plain).get("retryAfterSeconds").is_none());
    }
}

#[test]
fn codes_and_statuses_are_those_of_the_contract() {
    let contract = "400 invalid_fingerprint, 400 invalid_guest_id, 400 invalid_body, 400 invalid_query, \
        400 invalid_idempotency_key, 401 unauthorized, 403 origin_not_allowed, 403 operator_disabled, \
        404 route_not_found, 404 session_not_found, 404 revocation_not_found, 405 method_not_allowed, \
        409 idempotency_in_flight, 413 body_too_large, 415 unsupported_media_type, \
        422 idempotency_mismatch, 429 rate_limited, 429 device_busy, 500 internal, \
        502 genesys_unauthorized, 502 genesys_forbidden, 502 genesys_rejected, 502 genesys_failed, \
        503 genesys_rate_limited, 503 store_unavailable, 504 genesys_timeout";
    let codes: Vec<_> =
        Code::ALL.iter().map(|c| format!("{} {}", c.status(), c.as_str())).collect();
    assert_eq!(codes.join(", "), contract);
}

#[test]
fn who_calls_is_checked_before_what_is_sent() {
    let world = World::new(&[]);
    let host = world.host();
    let code = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = world.ask(&host, send(method, path, headers, body));
        if answer.body().is_empty() {
            String::new()
        } else {
            json_of(&answer)["code"].as_str().unwrap_or("").to_owned()
        }
    };
    assert_eq!(code("GET", "/v1/stats?x=1", &[], "junk"), "unauthorized");
    assert_eq!(code("GET", "/v1/stats?x=1", &[OPERATOR], "junk"), "invalid_query");
    assert_eq!(code("GET", "/v1/stats", &[OPERATOR], "junk"), "invalid_body");
    assert_eq!(code("GET", "/v1/stats", &[OPERATOR, OPERATOR], ""), "unauthorized");
    assert_eq!(
        code(
            "GET",
            "/v1/stats",
            &[("authorization", "Bearer operator-token, Bearer operator-token")],
            ""
        ),
        "unauthorized"
    );
    assert_eq!(
        code("GET", "/v1/stats", &[("authorization", "Bearer operator-toke")], ""),
        "unauthorized"
    );
    assert_eq!(code("POST", "/v1/devices/short/sessions", &[], ""), "invalid_fingerprint");
    assert_eq!(code("POST", "/v1/devices/has%2Fslash/sessions", &[], ""), "invalid_fingerprint");
    assert_eq!(code("POST", &sessions("/a%20b/renew"), &[OPERATOR], ""), "invalid_guest_id");
    assert_eq!(code("POST", &sessions("/g/renew"), &[], ""), "unauthorized");
    assert_eq!(code("POST", &sessions("/g/renew"), &[OPERATOR], ""), "session_not_found");
    assert_eq!(code("DELETE", &sessions("/g"), &[OPERATOR], ""), "session_not_found");
    assert_eq!(code("DELETE", "/v1/revocations/g", &[OPERATOR], ""), "revocation_not_found");
    assert_eq!(code("PUT", &sessions(""), &[], ""), "method_not_allowed");
    assert_eq!(code("GET", "/nowhere", &[], ""), "route_not_found");
    assert_eq!(
        code("POST", &sessions(""), &[("origin", "https://a"), ("origin", "https://b")], ""),
        "origin_not_allowed"
    );
    assert_eq!(
        code("POST", &sessions(""), &[("origin", "https://a, https://b")], ""),
        "origin_not_allowed"
    );
    assert_eq!(
        code("POST", &sessions(""), &[("idempotency-key", "a"), ("idempotency-key", "a")], ""),
        "invalid_idempotency_key"
    );
    assert!(world.genesys.seen().is_empty());
}

#[test]
fn without_operators_their_calls_are_disabled() {
    let world = World::new(&[("OPERATOR_TOKEN", "")]);
    assert!(config_of(&[("OPERATOR_TOKEN", "")]).access.operator_tokens.is_empty());
    let answer = world.ask(&world.host(), request("GET", "/v1/stats", ""));
    assert_eq!(json_of(&answer)["code"], "operator_disabled");
}

#[test]
fn sites_need_a_key_and_an_allowed_origin_when_there_are_any() {
    let world = World::new(&[("ISSUE_KEYS", "k1,k2"), ("ALLOWED_ORIGINS", "https://a.example")]);
    let host = world.host();
    let status = |headers: &[(&str, &str)]| {
        world.ask(&host, send("POST", &sessions(""), headers, "")).status().as_u16()
    };
    let key = ("authorization", "Bearer k2");
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("authorization", "Bearer k3")]), 401);
    assert_eq!(status(&[("authorization", "Basic k2")]), 401);
    assert_eq!(status(&[key]), 201);
    assert_eq!(status(&[key, ("origin", "https://a.example")]), 201);
    assert_eq!(status(&[key, ("origin", "https://b.example")]), 403);
    assert_eq!(status(&[key, ("origin", "null")]), 403);
    assert_eq!(
        status(&[key, ("origin", "https://a.example"), ("origin", "https://a.example")]),
        403
    );
}

#[test]
fn a_wrong_token_and_an_unknown_session_are_told_alike() {
    let world = World::new(&[]);
    let host = world.host();
    assert_eq!(world.issue(&host), 201);
    let ask = |method: &str, rest: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-request-id", "same")];
        let answer = world.ask(&host, send(method, &sessions(rest), &headers, ""));
        (answer.status().as_u16(), answer.body().clone())
    };
    let unknown = ask("POST", "/guest-9/renew", "guest-token-of-guest-1");
    assert_eq!(unknown.0, 404);
    assert_eq!(ask("POST", "/guest-1/renew", "guest-token-of-guest-2"), unknown);
    assert_eq!(ask("POST", "/guest-1/renew", "operator-token"), unknown);
    assert_eq!(ask("DELETE", "/guest-1", "guest-token-of-guest-2"), unknown);
    assert_eq!(ask("POST", "/guest-1/renew", "guest-token-of-guest-1").0, 200);
    assert_eq!(ask("DELETE", "/guest-1", "guest-token-of-guest-1").0, 202);
    assert_eq!(ask("DELETE", "/guest-1", "guest-token-of-guest-1"), unknown);
}

#[test]
fn preflights_are_answered_for_allowed_origins_alone() {
    let asks = ("access-control-request-method", "POST");
    let preflight = |world: &World, path: &str, origin: &str| {
        world.ask(&world.host(), send("OPTIONS", path, &[asks, ("origin", origin)], ""))
    };
    let any = World::new(&[]);
    let answer = preflight(&any, &sessions(""), "https://x.example");
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.headers()["access-control-allow-methods"], "GET, HEAD, POST, DELETE");
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    assert_eq!(allowed, "Authorization, Content-Type, Idempotency-Key, X-Request-Id");
    let some = World::new(&[("ALLOWED_ORIGINS", "https://a.example")]);
    let answer = preflight(&some, &sessions(""), "https://a.example");
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["access-control-allow-origin"].to_str().unwrap()
        ),
        (204, "https://a.example")
    );
    let answer = preflight(&some, &sessions(""), "https://b.example");
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(preflight(&any, "/nowhere", "https://x.example").status(), 404);
    let bare = any.ask(&any.host(), send("OPTIONS", &sessions(""), &[], ""));
    assert_eq!(
        (bare.status().as_u16(), bare.headers()["allow"].to_str().unwrap()),
        (405, "GET, HEAD, POST, DELETE")
    );
}

#[test]
fn a_repeated_origin_is_never_told_that_it_is_allowed() {
    let twice = [("origin", "https://a.example"), ("origin", "https://a.example")];
    let joined = [("origin", "https://a.example, https://a.example")];
    for world in [World::new(&[]), World::new(&[("ALLOWED_ORIGINS", "https://a.example")])] {
        for origins in [&twice[..], &joined] {
            let answer = world.ask(&world.host(), send("POST", &sessions(""), origins, ""));
            assert_eq!(answer.status(), 403);
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
    }
}

#[test]
fn head_is_get_without_the_body() {
    let world = World::new(&[]);
    let host = world.host();
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/v1/stats", 200),
        ("/metrics", 200),
        ("/nowhere", 404),
    ] {
        let head = world.ask(&host, request("HEAD", path, ""));
        let get = world.ask(&host, request("GET", path, ""));
        assert_eq!((head.status().as_u16(), head.body().len()), (status, 0), "{path}");
        assert_eq!(head.status(), get.status());
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"]);
        assert!(!get.body().is_empty(), "{path}");
    }
    assert_eq!(world.ask(&host, request("HEAD", "/v1/sweep", "")).status(), 405);
}

#[test]
fn a_repeat_with_its_key_gets_the_first_answer() {
    let world = World::new(&[]);
    let host = world.host();
    let ask = |key: &str, body: &str| {
        let mut request = issue();
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        *request.body_mut() = body.to_owned().into();
        world.ask(&host, request)
    };
    let first = ask("k", r#"{"routing":{"queueId":"q"}}"#);
    let again = ask("k", r#"{ "routing": { "queueId": "q" } }"#);
    assert_eq!((again.status().as_u16(), again.body()), (201, first.body()));
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert!(!first.headers().contains_key("idempotency-replayed"));
    assert_eq!(json_of(&ask("k", ""))["code"], "idempotency_mismatch");
    assert_eq!(world.genesys.created().len(), 1);
    world.clock.advance(600_000);
    assert_eq!((ask("k", "").status().as_u16(), world.genesys.created().len()), (201, 2));
}

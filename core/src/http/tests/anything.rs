//! Whatever is sent, the answer is one of the contract's.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::problem::Code;
use crate::test_support::World;

const NAMES: [&str; 7] = [
    "authorization",
    "origin",
    "content-type",
    "idempotency-key",
    "x-request-id",
    "access-control-request-method",
    "x-forwarded-for",
];

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        prop::sample::select(vec![
            "v1",
            "devices",
            "sessions",
            "renew",
            "revocations",
            "retry",
            "sweep",
            "stats",
            "metrics",
            "healthz",
            "readyz",
            "openapi.json",
            "device-1234",
            "guest-1",
            "..",
            "%2e",
            ""
        ])
        .prop_map(str::to_owned),
        "[!-~&&[^ \"#<>?\\\\^`{|}]]{0,12}",
    ];
    let shaped = prop::sample::select(vec![
        "/v1/devices/device-1234/sessions",
        "/v1/devices/device-1234/sessions/guest-1",
        "/v1/devices/device-1234/sessions/guest-1/renew",
        "/v1/revocations",
        "/v1/revocations/guest-1",
        "/v1/revocations/guest-1/retry",
        "/v1/sweep",
        "/v1/stats",
        "/metrics",
    ]);
    prop_oneof![
        shaped.prop_map(str::to_owned),
        prop::collection::vec(segment, 0..8).prop_map(|parts| format!("/{}", parts.join("/")))
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "Bearer operator-token",
            "Bearer guest-token-of-guest-1",
            "https://a.example",
            "application/json",
            "POST",
            "key-1",
            "null"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_is_sent_has_an_answer_of_the_contract(
        method in prop_oneof![prop::sample::select(vec!["GET", "HEAD", "POST", "DELETE", "OPTIONS"]).prop_map(str::to_owned), "[A-Za-z]{1,10}"],
        path in paths(),
        query in prop::option::of("[a-z0-9=&%]{0,20}"),
        fields in prop::collection::vec((0..NAMES.len(), values()), 0..6),
        body in prop_oneof![Just(Vec::new()), Just(b"{}".to_vec()), Just(br#"{"routing":{}}"#.to_vec()), prop::collection::vec(any::<u8>(), 0..60), Just(vec![b' '; 17_000])],
        origins: bool,
        client: Option<std::net::IpAddr>,
    ) {
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        let allowed = if origins { "https://a.example" } else { "" };
        let world = World::new(&[("ALLOWED_ORIGINS", allowed), ("RATE_LIMIT_PER_IP", "2")]);
        let host = world.host();
        prop_assert_eq!(world.issue(&host), 201);
        let mut headers = HeaderMap::new();
        for (name, value) in &fields {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(HeaderName::from_static(NAMES[*name]), value);
            }
        }
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let answer = world.clock.run(host.handle(request, client));
        world.clock.run(host.finish(answer.after, None));
        let response = answer.response;
        let status = response.status().as_u16();
        let is_success = matches!(status, 200 | 201 | 202 | 204);
        let of_contract = Code::ALL.iter().any(|code| code.status() == status && *code != Code::Internal);
        prop_assert!(is_success || of_contract, "{}", status);
        let id = response.headers()["x-request-id"].to_str().unwrap();
        prop_assert!((1..=64).contains(&id.len()));
        prop_assert_eq!(&response.headers()["cache-control"], "no-store");
        prop_assert_eq!(&response.headers()["vary"], "Origin");
        let exposed = &response.headers()["access-control-expose-headers"];
        prop_assert_eq!(exposed, "X-Request-Id, Retry-After, Idempotency-Replayed");
        if !is_success && method != "HEAD" {
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            prop_assert_eq!(&body["status"], status);
            prop_assert_eq!(body["requestId"].as_str(), Some(id));
        }
        if origins && let Some(told) = response.headers().get("access-control-allow-origin") {
            prop_assert_eq!(told, "https://a.example");
        }
    }
}

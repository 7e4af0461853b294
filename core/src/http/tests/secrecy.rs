//! P7: no token, secret or fingerprint in any log line, problem, metric or URL.

use super::{send, sessions};
use crate::seams::StoreFault;
use crate::test_support::{Act, FINGERPRINT, Spoil, World, captured, request};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What must never show. The Basic credentials are those of `client-id:client-secret`.
const SECRETS: [&str; 9] = [
    "client-secret",
    "client-id",
    "Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ",
    "access-token-",
    "guest-token-of",
    "operator-token",
    "site-key-1",
    "fingerprint-key-1",
    FINGERPRINT,
];

/// Every call, over a Genesys and a store that fail in every way; answers what all problems said.
fn everything() -> String {
    let variables = [
        ("ISSUE_KEYS", "site-key-1"),
        ("FINGERPRINT_KEY", "fingerprint-key-1"),
        ("TOKEN_SEALING_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    let world = World::new(&variables);
    let host = world.host();
    let mut acts = vec![
        Act::status(500),
        Act::status(401),
        Act::status(403),
        Act::rate_limited("1"),
        Act::NotSent,
        Act::Broken { done: true },
        Act::Hang { done: false },
        Act::DoneBut(200, r#"{"id":"guest-x","guestToken":"guest-token-of x"}"#.to_owned()),
        Act::Answer(
            400,
            vec![("inin-correlation-id", "access-token-1 x".to_owned())],
            r#"{"code":"bearer access-token-1","contextId":"a b"}"#.to_owned(),
        ),
    ];
    let mut n = 0;
    world.genesys.script(move |_| {
        n += 1;
        (n % 3 == 0).then(|| acts.pop()).flatten()
    });
    world.store.script(|op| {
        let fault = StoreFault::Lost("test".to_owned());
        (op.number % 11 == 10).then_some(Spoil { fault, done: op.number % 2 == 0 })
    });
    let mut said = String::new();
    let key = ("authorization", "Bearer site-key-1");
    let guest = ("authorization", "Bearer guest-token-of-guest-1");
    for round in 0..40 {
        let id = format!("{round}");
        let requests = [
            send("POST", &sessions(""), &[key, ("idempotency-key", &id)], r#"{"routing":{}}"#),
            send("POST", &sessions(""), &[key], ""),
            send("POST", &sessions("/guest-1/renew"), &[guest], ""),
            send("POST", &sessions("/guest-1/renew"), &[key], "junk"),
            send("DELETE", &sessions("/guest-1"), &[guest], ""),
            request("GET", &sessions(""), ""),
            request("POST", "/v1/sweep", ""),
            request("GET", "/v1/revocations", ""),
            request("GET", "/v1/stats", ""),
            request("GET", "/metrics", ""),
            send(
                "GET",
                &format!("/{FINGERPRINT}?operator-token"),
                &[key, ("x-request-id", "operator token")],
                "",
            ),
        ];
        for request in requests {
            let answer = world.ask(&host, request);
            if answer.status() != 201 {
                said.push_str(&String::from_utf8_lossy(answer.body()));
                said.push_str(&format!("{:?}\n", answer.headers()));
            }
        }
        world.clock.advance(200_000);
    }
    said.push_str(&format!("{host:?}", host = HostDebug(&world)));
    for seen in world.genesys.seen() {
        said.push_str(&format!("{}\n", seen.request.uri()));
    }
    assert!(world.genesys.created().len() > 20 && world.genesys.invalidated().len() > 5);
    said
}

/// The provider and the rules as Debug shows them.
struct HostDebug<'a>(&'a World);

impl std::fmt::Debug for HostDebug<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = self.0.host();
        write!(f, "{:?}", host.rules)
    }
}

#[test]
fn nothing_that_is_logged_or_answered_shows_a_secret() {
    let (said, logged) = captured(everything);
    for needed in
        ["request_id", "call to Genesys failed", "revocation failed", "duration_ms", "device"]
    {
        assert!(logged.contains(needed), "nothing logged of {needed}");
    }
    assert!(said.contains("genesys_failed") && said.contains("store_unavailable"), "{said}");
    for (what, text) in [("log", &logged), ("answers", &said)] {
        for secret in SECRETS {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret} in the {what}");
        }
    }
}

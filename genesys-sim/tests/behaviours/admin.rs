//! `/sim/…`: the same over HTTP.

use genesys_sim::{Call, CallKind, Guest};
use serde_json::json;

use crate::client::*;

#[tokio::test]
async fn the_ledger_is_served_without_guest_tokens_and_filtered_by_kind() {
    let sim = start().await;
    let token = token(&sim).await;
    create(&sim, &token, r#"{"routing":{"queueId":"q"}}"#).await.unwrap();
    let reply = admin(sim.addr(), "GET", "/sim/ledger", "").await;
    let ledger = reply.json();
    assert_eq!(ledger["calls"].as_array().unwrap().len(), 2);
    assert_eq!(ledger["guests"][0]["routing"], json!({"queueId": "q"}));
    assert_eq!(ledger["guests"][0]["invalidatedAtMs"], json!([]));
    assert!(!reply.body.contains(&sim.guests()[0].token));

    let path = "/sim/ledger?kind=create";
    let filtered = admin(sim.addr(), "GET", path, "").await.json();
    let calls: Vec<Call> = serde_json::from_value(filtered["calls"].clone()).unwrap();
    assert_eq!((calls.len(), calls[0].kind), (1, CallKind::Create));
    let guests: Vec<Guest> = serde_json::from_str(&filtered["guests"].to_string()).unwrap();
    assert_eq!(guests[0].id, sim.guests()[0].id);
}

#[tokio::test]
async fn faults_are_added_listed_and_cleared() {
    let sim = start().await;
    let token = token(&sim).await;
    let fault = json!({
        "on": "create", "times": 1, "effect": {"status": {"code": 503, "retryAfter": "1"}},
    });
    let reply = admin(sim.addr(), "POST", "/sim/faults", &fault.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["faults"].as_array().unwrap().len(), 1);
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 503);
    for effect in [
        json!({"latency": 1}),
        json!("resetBefore"),
        json!("resetAfter"),
        json!({"hang": {"afterWork": true}}),
        json!({"malformedBody": "x"}),
        json!("cutBody"),
        json!({"dropField": "id"}),
    ] {
        let fault = json!({"on": "any", "effect": effect}).to_string();
        let reply = admin(sim.addr(), "POST", "/sim/faults", &fault).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let listed = admin(sim.addr(), "GET", "/sim/faults", "").await.json();
    assert_eq!(listed["faults"].as_array().unwrap().len(), 7);
    let cleared = admin(sim.addr(), "DELETE", "/sim/faults", "").await.json();
    assert_eq!(cleared, json!({"faults": []}));
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn settings_change_only_where_they_are_named() {
    let sim = start().await;
    let change = r#"{"rateLimit":{"calls":1,"windowMs":60000},"latencyMs":{"create":7}}"#;
    let reply = admin(sim.addr(), "POST", "/sim/settings", change).await;
    let expected = json!({
        "rateLimit": {"calls": 1, "windowMs": 60_000}, "tokenTtlSeconds": 86_400,
        "latencyMs": {"create": 7, "invalidate": 0, "token": 0},
    });
    assert_eq!(reply.json(), expected);
    let token = token(&sim).await;
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 429);

    let change = r#"{"rateLimit":null,"tokenTtlSeconds":5}"#;
    admin(sim.addr(), "POST", "/sim/settings", change).await;
    let settings = admin(sim.addr(), "GET", "/sim/settings", "").await.json();
    assert_eq!(settings["rateLimit"], json!(null));
    assert_eq!(settings["tokenTtlSeconds"], 5);
    assert_eq!(settings["latencyMs"]["create"], 7);
}

#[tokio::test]
async fn tokens_are_revoked_and_the_ledger_reset() {
    let sim = start().await;
    let token = token(&sim).await;
    let revoked = admin(sim.addr(), "DELETE", "/sim/tokens", "").await.json();
    assert_eq!(revoked, json!({"revoked": 1}));
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 401);
    assert_eq!(admin(sim.addr(), "POST", "/sim/reset", "").await.status, 200);
    let ledger = admin(sim.addr(), "GET", "/sim/ledger", "").await.json();
    assert_eq!(ledger, json!({"guests": [], "calls": []}));
}

#[tokio::test]
async fn mistakes_are_explained() {
    let sim = start().await;
    for (method, path, body, status, word) in [
        ("POST", "/sim/faults", "{", 400, "EOF"),
        ("POST", "/sim/faults", "[]", 400, "object"),
        ("POST", "/sim/faults", r#"{"on":"lunch","effect":"cutBody"}"#, 400, "lunch"),
        ("POST", "/sim/faults", r#"{"on":"any","effect":"cutBody","times":0}"#, 400, "times"),
        ("POST", "/sim/faults", r#"{"on":"any","effect":{"status":{"code":99}}}"#, 400, "99"),
        (
            "POST",
            "/sim/faults",
            r#"{"on":"any","effect":{"status":{"code":429,"retryAfter":"a\nb"}}}"#,
            400,
            "retryAfter",
        ),
        ("POST", "/sim/settings", r#"{"rateLimits":1}"#, 400, "rateLimits"),
        ("GET", "/sim/ledger?kind=lunch", "", 400, "lunch"),
        ("GET", "/sim/ledger?since=1", "", 400, "since"),
        ("PUT", "/sim/ledger", "", 405, "GET /sim/ledger"),
        ("GET", "/sim/lunch", "", 404, "/sim/healthz"),
    ] {
        let reply = admin(sim.addr(), method, path, body).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let error = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(word), "{error}");
    }
    assert!(sim.faults().is_empty() && sim.calls().is_empty());
}

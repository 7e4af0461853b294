//! The guests API.

use std::collections::HashSet;

use genesys_sim::SimConfig;
use tokio::net::TcpStream;

use crate::client::*;

#[tokio::test]
async fn a_guest_has_an_id_a_token_like_a_jwt_and_timestamps() {
    let sim = start().await;
    let token = token(&sim).await;
    let reply = create(&sim, &token, "{}").await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.header("ININ-Correlation-Id").is_some());
    assert_eq!(reply.header("inin-ratelimit-count"), None);
    let guest = reply.json();
    assert_eq!(guest["id"].as_str().unwrap().len(), 36);
    let guest_token = guest["guestToken"].as_str().unwrap();
    assert_eq!(guest_token.split('.').count(), 3);
    assert!(guest_token.len() > 300);
    let created = guest["createdTimestamp"].as_str().unwrap();
    assert_eq!((created.len(), &created[23..]), (24, "Z"));
    assert_eq!(guest["modifiedTimestamp"], created);

    let recorded = &sim.guests()[0];
    assert_eq!(recorded.id, guest["id"]);
    assert_eq!(recorded.token, guest_token);
}

#[tokio::test]
async fn guests_differ_within_and_between_simulators() {
    let (one, other) = (start().await, start().await);
    let mut seen = HashSet::new();
    for sim in [&one, &other] {
        let token = token(sim).await;
        for _ in 0..20 {
            created_id(sim, &token).await;
        }
        for guest in sim.guests() {
            assert!(seen.insert(guest.id));
            assert!(seen.insert(guest.token));
        }
    }
}

#[tokio::test]
async fn routing_is_recorded_byte_for_byte() {
    let sim = start().await;
    let token = token(&sim).await;
    let routing = r#"{"queueId":"q", "skillGroups":["b","a"],"n":1.50}"#;
    let body = format!(r#" {{"routing":{routing}}}"#);
    assert_eq!(create(&sim, &token, &body).await.unwrap().status, 200);
    let guests = sim.guests();
    assert_eq!(guests[0].routing.as_ref().unwrap().get(), routing);
}

#[tokio::test]
async fn any_other_body_is_a_bad_request() {
    let sim = start().await;
    let token = token(&sim).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "[{}]",
        r#"{"other":1}"#,
        r#"{"routing":null}"#,
        r#"{"routing":[]}"#,
        r#"{"routing":{},"routing":{}}"#,
        "{} {}",
    ] {
        let reply = create(&sim, &token, body).await.unwrap();
        reply.assert_genesys_error(400, "bad.request");
    }
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let untyped = call(sim.addr(), "POST", GUESTS, &headers, "{}").await.unwrap();
    untyped.assert_genesys_error(400, "bad.request");
    assert!(sim.guests().is_empty());
}

#[tokio::test]
async fn an_endless_body_is_too_large() {
    let sim = start().await;
    let token = token(&sim).await;
    let body = format!(r#"{{"routing":{{"x":"{}"}}}}"#, "x".repeat(1 << 20));
    let reply = create(&sim, &token, &body).await.unwrap();
    reply.assert_genesys_error(413, "request.entity.too.large");
}

#[tokio::test]
async fn invalidating_is_answered_204_each_time_and_counted_each_time() {
    let sim = start().await;
    let token = token(&sim).await;
    let (id, kept) = (created_id(&sim, &token).await, created_id(&sim, &token).await);
    for _ in 0..2 {
        let reply = invalidate(&sim, &token, &id).await.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        assert!(reply.header("ININ-Correlation-Id").is_some());
    }
    assert!(sim.invalidated(&id) && !sim.invalidated(&kept));
    assert_eq!(sim.guests()[0].invalidated_at_ms.len(), 2);
    let live: Vec<_> = sim.live_guests().into_iter().map(|g| g.id).collect();
    assert_eq!(live, [kept]);
}

#[tokio::test]
async fn an_unknown_guest_cannot_be_invalidated() {
    let sim = start().await;
    let token = token(&sim).await;
    let reply = invalidate(&sim, &token, "nobody").await.unwrap();
    reply.assert_genesys_error(404, "not.found");
    assert!(!sim.invalidated("nobody"));
}

#[tokio::test]
async fn a_missing_or_unknown_bearer_is_refused() {
    let sim = start().await;
    for authorization in ["", "Bearer", "Bearer ", "Bearer nonsense", BASIC] {
        let headers = [("Authorization", authorization), ("Content-Type", JSON)];
        let reply = call(sim.addr(), "POST", GUESTS, &headers, "{}").await.unwrap();
        reply.assert_genesys_error(401, "bad.credentials");
    }
    let reply = call(sim.addr(), "POST", GUESTS, &[], "{}").await.unwrap();
    reply.assert_genesys_error(401, "bad.credentials");
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let sim = start().await;
    for path in [
        "/",
        "/api/v2/users/me",
        "/api/v2/conversations/messaging/guestsx",
        "/api/v2/conversations/messaging/guests/",
        "/api/v2/conversations/messaging/guests/a/b/invalidate",
        "/api/v2/conversations/messaging/guests//invalidate",
    ] {
        let reply = call(sim.addr(), "POST", path, &[], "").await.unwrap();
        reply.assert_genesys_error(404, "not.found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let sim = start().await;
    for path in ["/oauth/token", GUESTS, &format!("{GUESTS}/a/invalidate")] {
        let reply = call(sim.addr(), "GET", path, &[], "").await.unwrap();
        reply.assert_genesys_error(405, "method.not.allowed");
        assert_eq!(reply.header("Allow"), Some("POST"));
    }
}

#[tokio::test]
async fn the_guests_path_can_be_moved() {
    let sim =
        start_with(SimConfig { guests_path: "/elsewhere/guests/".into(), ..SimConfig::default() })
            .await;
    let bearer = format!("Bearer {}", token(&sim).await);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
    let path = "/elsewhere/guests";
    let reply = call(sim.addr(), "POST", path, &headers, "{}").await.unwrap();
    assert_eq!(reply.status, 200);
    let reply = call(sim.addr(), "POST", GUESTS, &headers, "{}").await.unwrap();
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn one_connection_carries_many_calls() {
    let sim = start().await;
    let bearer = format!("Bearer {}", token(&sim).await);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
    let mut stream = TcpStream::connect(sim.addr()).await.unwrap();
    for _ in 0..5 {
        let reply = exchange(&mut stream, "POST", GUESTS, &headers, "{}").await;
        assert_eq!(reply.unwrap().status, 200);
    }
}

//! `POST /oauth/token`.

use genesys_sim::SimConfig;

use crate::client::*;

#[tokio::test]
async fn the_right_client_gets_a_bearer_token_with_its_lifetime_in_seconds() {
    let sim = start().await;
    let form =
        "grant_type=client_credentials&scope=messaging%3Aguest%3Amanage+messaging:guest:view";
    let reply = ask_token(&sim, form).await.unwrap();
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 86_400);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(create(&sim, token, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn wrong_missing_and_malformed_credentials_are_an_invalid_client() {
    let sim = start().await;
    // The last three: another secret, no base64, no colon.
    for authorization in [
        "",
        "Bearer abc",
        "Basic",
        "Basic c2ltLWNsaWVudDp3cm9uZw==",
        "Basic !!",
        "Basic c2ltLWNsaWVudA==",
    ] {
        let headers = [("Authorization", authorization), ("Content-Type", FORM)];
        let form = "grant_type=client_credentials";
        let reply = call(sim.addr(), "POST", "/oauth/token", &headers, form).await;
        let reply = reply.unwrap();
        assert_eq!(reply.status, 401, "{authorization:?}");
        let answer = reply.json();
        assert_eq!(answer["error"], "invalid_client");
        assert_eq!(answer["description"], "client not found or invalid client");
        assert!(answer["error_description"].is_string());
        assert!(reply.header("WWW-Authenticate").is_some());
        assert!(reply.header("ININ-Correlation-Id").is_some());
    }
}

#[tokio::test]
async fn another_grant_type_or_none_is_unsupported() {
    let sim = start().await;
    for form in ["grant_type=password", "scope=x", ""] {
        let reply = ask_token(&sim, form).await.unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json()["error"], "unsupported_grant_type");
    }
}

#[tokio::test]
async fn a_malformed_form_is_an_invalid_request() {
    let sim = start().await;
    for form in [
        "grant_type=%4",
        "grant_type=%zz",
        "grant_type=%ff",
        "grant_type=client_credentials&grant_type=client_credentials",
    ] {
        let reply = ask_token(&sim, form).await.unwrap();
        assert_eq!(reply.status, 400, "{form}");
        assert_eq!(reply.json()["error"], "invalid_request", "{form}");
    }
    let headers = [("Authorization", BASIC), ("Content-Type", JSON)];
    let form = "grant_type=client_credentials";
    let reply = call(sim.addr(), "POST", "/oauth/token", &headers, form).await;
    assert_eq!(reply.unwrap().json()["error"], "invalid_request");
}

#[tokio::test]
async fn an_access_token_dies_when_its_lifetime_is_over() {
    let sim = start().await;
    sim.set_token_ttl(2);
    let reply = ask_token(&sim, "grant_type=client_credentials").await.unwrap();
    assert_eq!(reply.json()["expires_in"], 2);
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
    wait_ms(2_050).await;
    let late = create(&sim, &token, "{}").await.unwrap();
    late.assert_genesys_error(401, "bad.credentials");
}

#[tokio::test]
async fn revoked_access_tokens_are_refused_and_new_ones_are_not() {
    let sim = start().await;
    let old = token(&sim).await;
    sim.revoke_tokens();
    let refused = create(&sim, &old, "{}").await.unwrap();
    refused.assert_genesys_error(401, "bad.credentials");
    let new = token(&sim).await;
    assert_eq!(create(&sim, &new, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden_the_guests_api() {
    let sim = start_with(SimConfig {
        granted_scopes: Some(vec!["messaging:guest:view".into()]),
        ..SimConfig::default()
    })
    .await;
    let token = token(&sim).await;
    let reply = create(&sim, &token, "{}").await.unwrap();
    reply.assert_genesys_error(403, "missing.any.permissions");
    assert!(reply.body.contains("[messaging:guest:manage]"));
    assert!(sim.guests().is_empty());
}

#[tokio::test]
async fn a_token_holds_only_the_scopes_that_were_asked_for() {
    let sim = start().await;
    let form = "grant_type=client_credentials&scope=messaging:guest:view";
    let reply = ask_token(&sim, form).await.unwrap().json();
    let token = reply["access_token"].as_str().unwrap();
    let reply = create(&sim, token, "{}").await.unwrap();
    reply.assert_genesys_error(403, "missing.any.permissions");
}

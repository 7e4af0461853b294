//! Who may call: operators, sites and guests.

use super::{Session, by_guest, device, listed};
use crate::host::{Host, OPERATOR, issue, sessions};
use crate::http_client::Request;

/// Every call of operators.
fn operator_calls() -> Vec<(&'static str, String)> {
    let device = device();
    vec![
        ("GET", sessions(&device)),
        ("DELETE", sessions(&device)),
        ("GET", "/v1/revocations".to_owned()),
        ("POST", "/v1/revocations/g-1/retry".to_owned()),
        ("DELETE", "/v1/revocations/g-1".to_owned()),
        ("POST", "/v1/sweep".to_owned()),
        ("GET", "/v1/stats".to_owned()),
        ("GET", "/metrics".to_owned()),
    ]
}

/// 401 with `WWW-Authenticate`, whatever is wrong with the header.
pub async fn operator_calls_need_an_operators_token(host: &Host) {
    for (method, path) in operator_calls() {
        let bare = Request::new(method, &path);
        let refused = [
            bare.clone(),
            bare.clone().bearer("wrong"),
            bare.clone().bearer(&format!("{OPERATOR}x")),
            bare.clone().header("Authorization", OPERATOR),
            bare.clone().header("Authorization", format!("Basic {OPERATOR}")),
            bare.clone().header("Authorization", "Bearer"),
            bare.clone().header("Authorization", format!("Bearer {OPERATOR} x")),
            bare.clone().bearer(OPERATOR).bearer(OPERATOR),
            bare.clone().header("Authorization", format!("Bearer {OPERATOR}, Bearer {OPERATOR}")),
        ];
        for request in refused {
            let reply = host.send(&request).await;
            let _ = reply.problem(401, "unauthorized");
            let challenge = reply.header("www-authenticate").expect("a challenge");
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
        let allowed = host.send(&bare.header("Authorization", format!("bearer {OPERATOR}"))).await;
        assert_ne!(allowed.status, 401, "{method} {path}");
    }
}

/// Any of a list.
pub async fn any_operator_of_a_list_may_call(host: &Host) {
    for token in ["first-operator-token", "second-operator-token"] {
        let _ = host.send(&Request::new("GET", "/v1/stats").bearer(token)).await.expect(200);
    }
    let list = "first-operator-token,second-operator-token";
    let reply = host.send(&Request::new("GET", "/v1/stats").bearer(list)).await;
    let _ = reply.problem(401, "unauthorized");
}

/// With none configured nobody is an operator.
pub async fn operator_calls_are_disabled_without_an_operator(host: &Host) {
    for (method, path) in operator_calls() {
        for request in [Request::new(method, &path), Request::new(method, &path).bearer("x")] {
            let _ = host.send(&request).await.problem(403, "operator_disabled");
        }
    }
    let session = Session::issue(host, &device()).await;
    assert!(!session.token.is_empty());
}

/// A site's key is needed where keys are configured, and any of them does.
pub async fn sites_need_one_of_their_keys(host: &Host) {
    let before = host.sim.guests().len();
    let refused = [
        issue(&device()),
        issue(&device()).bearer("first-site-keyx"),
        issue(&device()).bearer("first-operator-token"),
        issue(&device()).bearer("first-site-key").bearer("first-site-key"),
    ];
    for request in refused {
        let reply = host.send(&request).await;
        let _ = reply.problem(401, "unauthorized");
        assert!(reply.header("www-authenticate").is_some());
    }
    for key in ["first-site-key", "second-site-key"] {
        let _ = Session::of(&host.send(&issue(&device()).bearer(key)).await);
    }
    assert!(host.sim.guests().len() >= before + 2);
}

/// Without keys anyone may issue, but a repeated header is refused all the same.
pub async fn a_repeated_authorization_is_refused_even_where_none_is_needed(host: &Host) {
    let twice = issue(&device()).bearer("a").bearer("a");
    let _ = host.send(&twice).await.problem(401, "unauthorized");
    let _ = Session::of(&host.send(&issue(&device()).bearer("anything")).await);
}

/// A missing or malformed header is 401; a wrong token and an unknown session get the same 404.
pub async fn guests_are_known_by_the_token_of_that_very_session(host: &Host) {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    let other = Session::issue(host, &fingerprint).await;
    let path = format!("{}/{}", sessions(&fingerprint), session.guest_id);
    for (method, path) in [("POST", format!("{path}/renew")), ("DELETE", path)] {
        let bare = Request::new(method, &path);
        for malformed in [
            bare.clone(),
            bare.clone().header("Authorization", session.token.as_str()),
            bare.clone().header("Authorization", format!("Basic {}", session.token)),
            bare.clone().bearer(&session.token).bearer(&session.token),
        ] {
            let reply = host.send(&malformed).await;
            let _ = reply.problem(401, "unauthorized");
            assert!(reply.header("www-authenticate").is_some());
        }
        let wrong = host.send(&by_guest(method, &path, &other)).await;
        let wrong = wrong.problem(404, "session_not_found");
        let unknown = path.replace(&session.guest_id, "unknown-guest");
        let unknown = host.send(&by_guest(method, &unknown, &session)).await;
        assert_eq!(unknown.problem(404, "session_not_found"), wrong);
        let elsewhere = path.replace(&fingerprint, &device());
        let elsewhere = host.send(&by_guest(method, &elsewhere, &session)).await;
        assert_eq!(elsewhere.problem(404, "session_not_found"), wrong);
    }
    assert_eq!(listed(host, &fingerprint).await.len(), 2);
}

/// Renewing is the guest's alone.
pub async fn an_operator_cannot_renew(host: &Host) {
    let fingerprint = device();
    let session = Session::issue(host, &fingerprint).await;
    let path = format!("{}/{}/renew", sessions(&fingerprint), session.guest_id);
    let _ = host.operate("POST", &path).await.problem(404, "session_not_found");
}

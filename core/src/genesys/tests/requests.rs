//! What goes over the wire, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{BUDGET, api};
use crate::names::GuestId;
use crate::seams::{FaultKind, GuestProvider as _};
use crate::test_support::{Act, Seen};

#[test]
fn a_token_is_asked_for_with_basic_and_a_form() {
    let (clock, http, api) = api(&[], 0);
    assert_eq!(clock.run(api.prepare(BUDGET)), Ok(true));
    let seen = &http.seen()[0];
    assert_eq!(seen.request.method(), "POST");
    assert_eq!(seen.request.uri(), "https://login.mypurecloud.de/oauth/token");
    assert_eq!(seen.header("authorization"), Some("Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ="));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("user-agent"), Some(concat!("guestpass/", env!("CARGO_PKG_VERSION"))));
    let scopes = "messaging%3Aguest%3Amanage+messaging%3Aguest%3Aview";
    let form = format!("grant_type=client_credentials&scope={scopes}");
    assert_eq!(*seen.request.body(), form);
}

#[test]
fn without_scopes_none_are_asked_for() {
    let (clock, http, api) = api(&[("GENESYS_SCOPES", "")], 0);
    clock.run(api.prepare(BUDGET)).unwrap();
    assert_eq!(*http.seen()[0].request.body(), "grant_type=client_credentials");
}

#[test]
fn secrets_may_have_any_characters() {
    for secret in ["a:b+c/=&%", "pä ss wörd ü", "\"quoted\"", &"x".repeat(2000)] {
        let (clock, http, api) = api(&[("GENESYS_CLIENT_SECRET", secret)], 0);
        clock.run(api.prepare(BUDGET)).unwrap();
        let seen = &http.seen()[0];
        let basic = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(basic).unwrap(), format!("client-id:{secret}").into_bytes());
    }
}

#[test]
fn a_create_carries_the_routing_as_it_is() {
    let (clock, http, api) = api(&[("GENESYS_API_URL", "https://api.example/x/")], 0);
    clock.run(api.prepare(BUDGET)).unwrap();
    clock.run(api.create(None, BUDGET)).unwrap();
    let routing = r#"{ "queueId":"q", "n":1.0 }"#;
    let guest = clock.run(api.create(Some(routing), BUDGET)).unwrap();
    assert_eq!((guest.id.as_str(), guest.token.expose()), ("guest-2", "guest-token-of-guest-2"));
    let seen = http.seen();
    for (seen, body) in
        [(&seen[1], "{}".to_owned()), (&seen[2], format!(r#"{{"routing":{routing}}}"#))]
    {
        let url = "https://api.example/x/api/v2/conversations/messaging/guests";
        assert_eq!(
            (seen.request.method().as_str(), seen.request.uri().to_string().as_str()),
            ("POST", url)
        );
        assert_eq!(seen.header("authorization"), Some("Bearer access-token-1"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert!(seen.header("user-agent").unwrap().starts_with("guestpass/"));
        assert_eq!(*seen.request.body(), body);
        // A token in Debug of a request is a token in a log.
        assert!(!format!("{:?}", seen.request.headers()).contains("access-token"));
    }
}

#[test]
fn a_revocation_has_an_empty_body() {
    let (clock, http, api) = api(&[("GENESYS_GUESTS_PATH", "/guests")], 0);
    clock.run(api.prepare(BUDGET)).unwrap();
    let guest = GuestId::parse("a~b.c-d_e").unwrap();
    clock.run(api.revoke(&guest, BUDGET)).unwrap();
    let seen = &http.seen()[1];
    assert_eq!(seen.request.uri(), "https://api.mypurecloud.de/guests/a~b.c-d_e/invalidate");
    assert_eq!(seen.header("content-length"), Some("0"));
    assert!(seen.request.body().is_empty() && seen.header("content-type").is_none());
}

#[test]
fn what_genesys_says_of_an_error_is_kept_if_it_is_harmless() {
    let (clock, http, api) = api(&[], 0);
    clock.run(api.prepare(BUDGET)).unwrap();
    let body = r#"{"code":"evil\ncode","contextId":"ctx","status":500,"message":"secret"}"#;
    let headers = vec![("inin-correlation-id", "corr id".to_owned())];
    http.first(Seen::is_create, [Act::Answer(500, headers, body.to_owned())]);
    let fault = clock.run(api.create(None, BUDGET)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Status(500));
    assert_eq!((&fault.context.code, &fault.context.correlation_id), (&None, &None));
    assert_eq!(fault.context.context_id.as_deref(), Some("ctx"));
    assert!(fault.context.is_genesys && !format!("{fault} {fault:?}").contains("secret"));
}

#[test]
fn a_created_guest_without_a_usable_token_is_named_in_the_fault() {
    for token in ["", r#","guestToken":"""#, r#","guestToken":"a b""#, r#","guestToken":"ü""#] {
        let (clock, http, api) = api(&[], 0);
        clock.run(api.prepare(BUDGET)).unwrap();
        http.first(Seen::is_create, [Act::DoneBut(201, format!(r#"{{"id":"guest-1"{token}}}"#))]);
        let fault = clock.run(api.create(None, BUDGET)).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Unreadable(_)), "{token}: {fault:?}");
        assert_eq!(fault.guest, Some(GuestId::parse("guest-1").unwrap()), "{token}");
    }
}

//! Bodies, idempotency keys, request ids and queries.

use http::HeaderMap;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::input::{
    IssueBody, RevocationsQuery, idempotency, issue_body, no_body, request_id, revocations_query,
};
use super::super::problem::{Code, Problem};
use super::headers;
use crate::service::sha256;
use crate::store::ops::RevocationState;

fn body(text: &str) -> Result<IssueBody, Problem> {
    issue_body(&HeaderMap::new(), text.as_bytes())
}

fn hash(routing: &str) -> String {
    body(&format!(r#"{{"routing":{routing}}}"#)).unwrap().canonical
}

#[test]
fn bodies_that_are_equal_json_have_equal_hashes() {
    let same = [
        [r#"{"a":1,"b":2}"#, r#"{ "b" : 2 ,"a":1}"#],
        [r#"{"a":1}"#, r#"{"a":1.0}"#],
        [r#"{"a":1}"#, r#"{"a":1e0}"#],
        [r#"{"a":100}"#, r#"{"a":1E2}"#],
        [r#"{"a":0}"#, r#"{"a":-0.0}"#],
        [r#"{"a":1.5}"#, r#"{"a":15e-1}"#],
        [r#"{"a":"ü/\n"}"#, r#"{"a":"\u00fc\/\u000A"}"#],
        [r#"{"a":"😀"}"#, r#"{"a":"\ud83d\ude00"}"#],
        [r#"{"\u0061":[ ]}"#, r#"{"a":[]}"#],
        [
            r#"{"a":{"c":[1,{"e":null,"d":true}],"b":{}}}"#,
            r#"{"a":{"b":{},"c":[1.0,{"d":true,"e":null}]}}"#,
        ],
    ];
    for [one, other] in same {
        assert_eq!(hash(one), hash(other), "{one} {other}");
    }
    assert_eq!(body("").unwrap().canonical, body(" { } ").unwrap().canonical);
}

#[test]
fn bodies_that_differ_have_different_hashes() {
    let different = [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"a":"1"}"#,
        r#"{"a":null}"#,
        r#"{"a":[1]}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[2,1]}"#,
        r#"{"a":[12]}"#,
        r#"{"a":[[1],2]}"#,
        r#"{"a":true}"#,
        r#"{"a":1.5}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"a":{},"b":1}"#,
        r#"{"a,b":1}"#,
        r#"{"a":-1}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"A":1}"#,
    ];
    let mut hashes: Vec<_> = different.iter().map(|routing| hash(routing)).collect();
    hashes.push(body("{}").unwrap().canonical);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), different.len() + 1);
}

#[test]
fn the_routing_is_kept_as_it_was_sent() {
    let sent = r#"{ "b":1.0, "a":"\u00fc" }"#;
    let parsed = body(&format!(r#"{{"routing": {sent} }}"#)).unwrap();
    assert_eq!(parsed.routing.as_deref(), Some(sent));
}

#[test]
fn bodies_that_are_not_the_one_shape_are_refused() {
    let deep = format!(r#"{{"routing":{{"a":{}1{}}}}}"#, "[".repeat(200), "]".repeat(200));
    for bad in [
        "null",
        "1",
        "[]",
        "[{}]",
        "\"x\"",
        "{",
        "{}x",
        "{}{}",
        r#"{"other":1}"#,
        r#"{"routing":null}"#,
        r#"{"routing":1}"#,
        r#"{"routing":[]}"#,
        r#"{"routing":"{}"}"#,
        r#"{"routing":{},"x":1}"#,
        r#"{"routing":{},"routing":{}}"#,
        r#"{"Routing":{}}"#,
        r#"{'routing':{}}"#,
        "\u{feff}{}",
        " ",
        r#"{"routing":{"a":1e999}}"#,
        r#"{"routing":{"a":01}}"#,
        "{\"routing\":{\"a\":\"\u{1}\"}}",
        &deep,
    ] {
        assert_eq!(body(bad).unwrap_err().code, Code::InvalidBody, "{bad}");
    }
    let latin1 = issue_body(&HeaderMap::new(), b"{\"routing\":{\"a\":\"\xfc\"}}");
    assert_eq!(latin1.unwrap_err().code, Code::InvalidBody);
}

#[test]
fn a_body_has_at_most_16_kib_and_is_json_by_its_type() {
    let padded = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    assert!(body(&padded(16_384)).is_ok());
    assert_eq!(body(&padded(16_385)).unwrap_err().code, Code::BodyTooLarge);
    for good in ["application/json", "APPLICATION/JSON; charset=utf-8", " application/json ;x=y"] {
        assert!(issue_body(&headers(&[("content-type", good)]), b"{}").is_ok(), "{good}");
    }
    for bad in
        ["text/plain", "application/jsonx", "", "application/problem+json", "a, application/json"]
    {
        let outcome = issue_body(&headers(&[("content-type", bad)]), b"{}");
        assert_eq!(outcome.unwrap_err().code, Code::UnsupportedMediaType, "{bad}");
        assert!(issue_body(&headers(&[("content-type", bad)]), b"").is_ok(), "no body, no type");
    }
    assert!(no_body(&HeaderMap::new(), b"{}").is_ok());
    assert!(no_body(&HeaderMap::new(), br#"{"routing":{}}"#).is_err());
}

#[test]
fn an_idempotency_key_is_1_to_128_visible_characters_sent_once() {
    let parsed = body("").unwrap();
    let key = |values: &[&str]| {
        let pairs: Vec<_> = values.iter().map(|value| ("idempotency-key", *value)).collect();
        idempotency(&headers(&pairs), &parsed)
    };
    assert_eq!(key(&[]).unwrap(), None);
    let (one, other) = (key(&["a"]).unwrap().unwrap(), key(&["b"]).unwrap().unwrap());
    assert_ne!(one.key_hash, other.key_hash);
    assert!(
        one.body_hash == sha256(&parsed.canonical)
            && !one.overwrite
            && !one.key_hash.contains("idem")
    );
    for good in ["!", "~", "a,b", &"x".repeat(128)] {
        assert!(key(&[good]).unwrap().is_some(), "{good}");
    }
    for bad in [
        &[""][..],
        &[&"x".repeat(129)],
        &["a b"],
        &["ü"],
        &["a", "b"],
        &["a, b"],
        &["a", "a"],
        &["", ""],
    ] {
        assert_eq!(key(bad).unwrap_err().code, Code::InvalidIdempotencyKey, "{bad:?}");
    }
}

#[test]
fn a_callers_request_id_is_kept_when_it_is_harmless() {
    let id = |values: &[&str]| {
        let pairs: Vec<_> = values.iter().map(|value| ("x-request-id", *value)).collect();
        request_id(&headers(&pairs))
    };
    for good in ["a", "A-9", &"x".repeat(64)] {
        assert_eq!(id(&[good]).as_deref(), Some(good));
    }
    for bad in
        [&[][..], &[""], &[&"x".repeat(65)], &["a b"], &["a_b"], &["a.b"], &["ü"], &["a", "b"]]
    {
        assert_eq!(id(bad), None, "{bad:?}");
    }
}

#[test]
fn a_list_of_revocations_takes_a_state_and_a_limit() {
    let query = |text: &str| revocations_query(Some(text)).map(|q| (q.state, q.limit));
    let default = RevocationsQuery { state: RevocationState::Pending, limit: 100 };
    assert_eq!(revocations_query(None).unwrap(), default);
    assert_eq!(query("").unwrap(), (RevocationState::Pending, 100));
    assert_eq!(query("limit=1000&state=stuck").unwrap(), (RevocationState::Stuck, 1000));
    for bad in [
        "state=",
        "state=Stuck",
        "limit=0",
        "limit=1001",
        "limit=+5",
        "limit=",
        "limit=1e2",
        "limit=5&limit=5",
        "state=stuck&state=stuck",
        "x=1",
        "state",
        "limit=99999999999999999999",
        "st%61te=stuck",
    ] {
        assert_eq!(query(bad).unwrap_err().code, Code::InvalidQuery, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_body_or_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = issue_body(&HeaderMap::new(), &bytes);
    }

    #[test]
    fn layout_never_changes_a_hash(number: i32, text in "\\PC{0,8}", spaces in "[ \\t\\n]{0,4}") {
        let text = serde_json::Value::from(text).to_string();
        let tight = format!(r#"{{"n":{number},"t":{text}}}"#);
        let loose = format!(r#"{{{spaces}"t":{text}{spaces},"n"{spaces}:{number}.0{spaces}}}"#);
        prop_assert_eq!(hash(&tight), hash(&loose));
    }
}

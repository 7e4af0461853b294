//! Bodies: what JSON allows, what it does not, and how long it may be.

use guestpass_tests::host::{OPERATOR, issue as issue_for};
use guestpass_tests::http_client::Request;

use super::issue;
use crate::wire::Case;

/// For an issue, for a call that takes no body, and where no body is looked at.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, body) in TEXTS.iter().enumerate() {
        cases.push(issue().json(body).into());
        cases.push(issue().body(body).into());
        cases.push(Request::new("POST", "/v1/sweep").bearer(OPERATOR).json(body).into());
        cases.push(Request::new("GET", "/v1/stats").bearer(OPERATOR).json(body).into());
        cases.push(Request::new("DELETE", "/v1/revocations/g").bearer(OPERATOR).json(body).into());
        // Twice under one key: the first answer again, or another refusal.
        let keyed = issue_for(&format!("device-of-body-{n}")).header("Idempotency-Key", "key");
        cases.push(keyed.clone().json(body).into());
        cases.push(keyed.clone().json(body).into());
        cases.push(keyed.json(r#"{"routing":{"other":1}}"#).into());
    }
    for kind in TYPES {
        cases.push(issue().header("Content-Type", kind).body("{}").into());
        cases.push(issue().header("Content-Type", kind).body("").into());
        cases.push(
            issue().header("Content-Type", kind).header("Content-Type", kind).body("{}").into(),
        );
    }
    for length in [16_383, 16_384, 16_385, 20_000, 65_536, 300_000] {
        let frame = r#"{"routing":{"a":""}}"#;
        let filled = frame.replace(r#""""#, &format!(r#""{}""#, "x".repeat(length - frame.len())));
        cases.push(issue().json(&filled).into());
        cases.push(issue().json(vec![b' '; length]).into());
        cases.push(issue().header("Content-Type", "text/plain").body(vec![0xff; length]).into());
        cases.push(Request::new("GET", "/nowhere").body(&filled).into());
        cases.push(Request::new("GET", "/healthz").body(&filled).into());
    }
    for depth in [60, 120, 126, 127, 128, 129, 1000, 8000] {
        let nested = format!(r#"{{"routing":{{"a":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
        cases.push(issue().json(nested).into());
    }
    cases
}

const TEXTS: [&[u8]; 54] = [
    b"",
    b" ",
    b"\n",
    b"{}",
    b" { } ",
    b"{}{}",
    b"{} x",
    b"{",
    b"}",
    b"[]",
    b"[{}]",
    b"null",
    b"true",
    b"0",
    b"\"x\"",
    b"nonsense",
    b"'{}'",
    b"{,}",
    b"{\"a\":1}",
    b"{\"routing\":{}}",
    b"{\"routing\":{},}",
    b"{\"routing\":null}",
    b"{\"routing\":[]}",
    b"{\"routing\":1}",
    b"{\"routing\":\"x\"}",
    b"{\"routing\":true}",
    b"{\"routing\":{}}x",
    b"{\"routing\":{},\"routing\":{}}",
    b"{\"routing\":{},\"x\":1}",
    b"{\"Routing\":{}}",
    b"{\"rout\\u0069ng\":{}}",
    b"{\"routing\":{\"a\":1,\"a\":2}}",
    b"{\"routing\":{\"\":{}}}",
    b"{\"routing\":{\"a\":1.0}}",
    b"{\"routing\":{\"a\":1e400}}",
    b"{\"routing\":{\"a\":-0}}",
    b"{\"routing\":{\"a\":01}}",
    b"{\"routing\":{\"a\":+1}}",
    b"{\"routing\":{\"a\":.5}}",
    b"{\"routing\":{\"a\":NaN}}",
    b"{\"routing\":{\"a\":12345678901234567890123}}",
    b"{\"routing\":{\"a\":\"\\ud800\"}}",
    b"{\"routing\":{\"a\":\"\\ud83d\\ude00\"}}",
    b"{\"routing\":{\"a\":\"\\x\"}}",
    b"{\"routing\":{\"a\":\"\x01\"}}",
    b"{\"routing\":{\"a\":\"\xc3\xa9\"}}",
    b"{\"routing\":{\"a\":\"\xc3\"}}",
    b"{\"routing\":{\"a\":\"\xff\"}}",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"\x00",
    b"{\"routing\":{\"a\":\"\x00\"}}",
    b"/* */{}",
    b"{\"guestId\":\"g\",\"guestToken\":\"t\"}",
];

const TYPES: [&[u8]; 20] = [
    b"application/json",
    b"APPLICATION/JSON",
    b"application/json;charset=utf-8",
    b"application/json ; x",
    b"application/json;",
    b" application/json ",
    b"application/json,application/json",
    b"application/json, text/plain",
    b"text/plain, application/json",
    b"application/problem+json",
    b"application/*",
    b"*/*",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"json",
    b"",
    b"\xff",
    b"application/json; charset=\xe9",
    b"application/json\t;x",
];

//! What an issue may carry, and what of it reaches Genesys.

use super::{Session, device};
use crate::host::{Host, issue};
use crate::http_client::Request;

/// The longest body that is taken, in bytes.
const LONGEST: usize = 16 * 1024;

fn routing_of(host: &Host, session: &Session) -> Option<String> {
    let guests = host.sim.guests();
    let guest = guests.into_iter().find(|guest| guest.id == session.guest_id);
    guest.expect("Genesys knows the guest").routing.map(|routing| routing.get().to_owned())
}

async fn post(host: &Host, body: impl AsRef<[u8]>) -> crate::http_client::Reply {
    host.send(&issue(&device()).json(body)).await
}

/// An empty body equals `{}`.
pub async fn a_body_may_be_empty(host: &Host) {
    let requests = [
        issue(&device()),
        issue(&device()).json(""),
        issue(&device()).header("Content-Type", "text/plain").body(""),
        issue(&device()).json("{}"),
        issue(&device()).json(" {\n} "),
        issue(&device()).body("{}"),
    ];
    for request in requests {
        let session = Session::of(&host.send(&request).await);
        assert_eq!(routing_of(host, &session), None);
    }
}

/// `routing` is passed on as it is.
pub async fn routing_reaches_genesys_byte_for_byte(host: &Host) {
    let texts = [
        r#"{}"#,
        r#"{"queueId":"q-1","skillGroups":["a","b"]}"#,
        "{ \"queueId\" : \"\\u00e9 é \\/ \\ud83d\\ude00 😀\",\n\t\"n\":[1.0, 1e2, -0, 12345678901234567890.10] }",
        r#"{"b":1,"a":2,"a":3}"#,
    ];
    for text in texts {
        let session = Session::of(&post(host, format!("{{ \"routing\" : {text} }}")).await);
        assert_eq!(routing_of(host, &session).as_deref(), Some(text));
    }
}

/// Nothing but a JSON object with at most `routing`, a JSON object.
pub async fn what_is_not_the_body_of_an_issue_is_refused(host: &Host) {
    let bodies = [
        r#"{"routing":null}"#,
        r#"{"routing":[]}"#,
        r#"{"routing":"x"}"#,
        r#"{"routing":1}"#,
        r#"{"routing":{},"other":1}"#,
        r#"{"Routing":{}}"#,
        r#"{"routing":{},"routing":{}}"#,
        r#"[]"#,
        r#"[{}]"#,
        r#"null"#,
        r#""{}""#,
        r#"1"#,
        r#"  "#,
        r#"{"#,
        r#"{"routing":{}"#,
        r#"{"routing":{"a":}}"#,
        r#"{"routing":{}} x"#,
        r#"{"routing":{'a':1}}"#,
        "\u{feff}{}",
    ];
    for body in bodies {
        let problem = post(host, body).await.problem(400, "invalid_body");
        assert!(problem.detail.contains("body") || problem.detail.contains("routing"), "{body}");
    }
    for body in [&b"\xff"[..], b"{\"routing\":{\"a\":\"\xff\"}}", b"{\"routing\":{\"a\":\"\xc3\"}}"]
    {
        let _ = post(host, body).await.problem(400, "invalid_body");
    }
}

/// Deep, but within what parsers take.
pub async fn deep_nesting_is_taken_up_to_a_bound(host: &Host) {
    let nested = |depth: usize| {
        format!(r#"{{"routing":{{"a":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let _ = Session::of(&post(host, nested(50)).await);
    let _ = post(host, nested(1000)).await.problem(400, "invalid_body");
    let _ = post(host, nested(8000)).await.problem(400, "invalid_body");
}

/// 16 KiB and no more.
pub async fn a_body_of_16_kib_is_the_longest(host: &Host) {
    let filled = |length: usize| {
        let body = r#"{"routing":{"a":""}}"#;
        body.replace(r#""""#, &format!(r#""{}""#, "x".repeat(length - body.len())))
    };
    assert_eq!(filled(LONGEST).len(), LONGEST);
    let _ = Session::of(&post(host, filled(LONGEST)).await);
    for length in [LONGEST + 1, 10 * LONGEST] {
        let problem = post(host, filled(length)).await.problem(413, "body_too_large");
        assert!(problem.detail.contains("16384"), "{}", problem.detail);
    }
}

/// `application/json`, or nothing said.
pub async fn a_body_must_be_json_by_its_type(host: &Host) {
    let typed = |kind: &str| issue(&device()).header("Content-Type", kind).body("{}");
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;a=b",
    ] {
        let _ = Session::of(&host.send(&typed(kind)).await);
    }
    for kind in [
        "text/plain",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
        "json",
        "text/json",
    ] {
        let problem = host.send(&typed(kind)).await.problem(415, "unsupported_media_type");
        assert!(problem.detail.contains("application/json"), "{kind}: {}", problem.detail);
    }
}

/// Calls that take no body refuse fields.
pub async fn calls_without_a_body_refuse_fields(host: &Host) {
    let sweep =
        |body: &str| Request::new("POST", "/v1/sweep").bearer(crate::host::OPERATOR).json(body);
    let _ = host.send(&sweep("{}")).await.expect(200);
    for body in [r#"{"limit":1}"#, r#"{"routing":{}}"#, "[]", "null", "{"] {
        let _ = host.send(&sweep(body)).await.problem(400, "invalid_body");
    }
}

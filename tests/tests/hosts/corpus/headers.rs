//! Headers: those that guestpass reads, repeated, empty, malformed; and those that it does not read.

use guestpass_tests::host::{OPERATOR, issue as issue_for, sessions};
use guestpass_tests::http_client::Request;

use super::{DEVICE, issue};
use crate::wire::Case;

/// Values for any header; what is good depends on which.
const VALUES: [&[u8]; 24] = [
    b"",
    b" ",
    b"\t",
    b"x",
    b" x ",
    b"x y",
    b"x\ty",
    b",",
    b", ",
    b"x,y",
    b"x, y",
    b"x;y",
    b"\"x\"",
    b"*",
    b"null",
    b"0",
    b"-1",
    b"\xc3\xa9",
    b"\xe9",
    b"\xff\xfe",
    b"\x7f",
    b"%78",
    b"https://a.example",
    b"{}",
];

/// Headers with a meaning to us or to those on the way.
const NAMES: [&str; 36] = [
    "Authorization",
    "Origin",
    "Idempotency-Key",
    "X-Request-Id",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Charset",
    "Content-Encoding",
    "Content-Language",
    "Cookie",
    "Referer",
    "User-Agent",
    "If-None-Match",
    "If-Match",
    "If-Modified-Since",
    "Range",
    "Cache-Control",
    "Pragma",
    "Via",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Real-IP",
    "CF-Connecting-IP",
    "CF-Ray",
    "CF-Worker",
    "True-Client-IP",
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "Access-Control-Request-Headers",
    "Prefer",
    "DNT",
    "Sec-Fetch-Mode",
];

/// Where there are no lists of keys or origins.
pub(crate) fn open() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in NAMES {
        for value in VALUES {
            let health = Request::new("GET", "/healthz").header(name, value);
            cases.push(health.clone().into());
            cases.push(health.header(name, value).into());
            cases
                .push(Request::new("GET", "/v1/stats").bearer(OPERATOR).header(name, value).into());
        }
        for value in [&b""[..], b"x", b"x, y", b"\xe9", b"\xc3\xa9", b"https://a.example"] {
            // A device of its own, since a key that is good binds.
            let device = issue_for(&format!("device-of-{name}-{}", value.len()));
            cases.push(device.clone().header(name, value).json("{}").into());
            cases.push(device.clone().header(name, value).header(name, value).into());
            cases.push(device.clone().header(name, value).header(&name.to_uppercase(), "z").into());
            cases.push(device.header(name, "z").header(name, value).into());
        }
    }
    cases.extend(AUTHORIZATIONS.iter().flat_map(|value| {
        let headers = |request: Request| Case::from(request.header("Authorization", value));
        [
            headers(Request::new("GET", "/v1/revocations?state=stuck")),
            headers(Request::new("DELETE", &sessions(DEVICE))),
            headers(Request::new("POST", &format!("{}/g/renew", sessions(DEVICE)))),
            headers(issue()),
        ]
    }));
    for length in [64, 65, 127, 128, 129, 255, 1000, 8000, 16_000] {
        for name in ["Idempotency-Key", "X-Request-Id", "Authorization", "Origin", "X-Other"] {
            cases.push(issue().header(name, "k".repeat(length)).into());
        }
    }
    for count in [10, 50, 90] {
        let many = Request::new("GET", "/healthz");
        cases.push((0..count).fold(many, |many, n| many.header(&format!("X-{n}"), "y")).into());
    }
    cases.extend(preflights());
    cases
}

/// Ways to write the operator's token, right and wrong.
const AUTHORIZATIONS: [&str; 22] = [
    "Bearer operator-token-0123456789",
    "bearer operator-token-0123456789",
    "BEARER operator-token-0123456789",
    "Bearer  operator-token-0123456789",
    "Bearer operator-token-0123456789 ",
    " Bearer operator-token-0123456789",
    "Bearer\toperator-token-0123456789",
    "Bearer operator-token-0123456789,",
    "Bearer operator-token-0123456789, ",
    ", Bearer operator-token-0123456789",
    "Bearer operator-token-0123456789,Bearer operator-token-0123456789",
    "Bearer operator-token-0123456789, Bearer operator-token-0123456789",
    "Bearer operator-token-012345678",
    "Bearer operator-token-01234567890",
    "Bearer OPERATOR-TOKEN-0123456789",
    "Bearer \"operator-token-0123456789\"",
    "Bearer=operator-token-0123456789",
    "Bearer",
    "Bearer ",
    "Token operator-token-0123456789",
    "Basic b3BlcmF0b3I6eA==",
    "operator-token-0123456789",
];

fn preflights() -> Vec<Case> {
    let origins = [
        "https://a.example",
        "https://b.example:8443",
        "https://c.example",
        "null",
        "",
        "x, y",
        "*",
    ];
    let mut cases = Vec::new();
    for target in ["/v1/stats", "/healthz", &sessions(DEVICE), "/nowhere", "/v1/sweep?x=1", "*"] {
        for origin in origins {
            let options = Request::new("OPTIONS", target).header("Origin", origin);
            for method in ["GET", "POST", "DELETE", "PUT", "get", "", "x y"] {
                let asks = options.clone().header("Access-Control-Request-Method", method);
                cases.push(
                    asks.header("Access-Control-Request-Headers", "authorization, x-y").into(),
                );
            }
            cases.push(options.header("Origin", origin).into());
        }
        let no_origin = Request::new("OPTIONS", target);
        cases.push(no_origin.header("Access-Control-Request-Method", "GET").into());
    }
    cases
}

/// Where sites have keys and pages are named.
pub(crate) fn guarded() -> Vec<Case> {
    let origins: [&[u8]; 16] = [
        b"https://a.example",
        b"https://b.example:8443",
        b"https://a.example:443",
        b"https://A.example",
        b"https://a.example/",
        b"http://a.example",
        b"https://b.example",
        b"https://c.example",
        b"null",
        b"",
        b"https://a.example, https://a.example",
        b"https://a.example,https://a.example",
        b"https://a.example ",
        b" https://a.example",
        b"https://\xe9.example",
        b"*",
    ];
    let keys = [
        "first-site-key",
        "second-site-key",
        "first-site-key,second-site-key",
        "first-site-key, second-site-key",
        "first-operator-token",
        "second-operator-token",
        "",
        "x",
    ];
    let mut cases = preflights();
    for origin in origins {
        for key in keys {
            let site = issue().bearer(key).header("Origin", origin);
            cases.push(site.clone().into());
            cases.push(site.clone().header("Origin", origin).into());
            cases.push(site.json("nonsense").into());
            let stats = Request::new("GET", "/v1/stats").bearer(key);
            cases.push(stats.header("Origin", origin).into());
        }
        cases.push(Request::new("GET", "/nowhere").header("Origin", origin).into());
        cases.push(Request::new("PUT", "/healthz").header("Origin", origin).into());
        cases.push(Request::new("HEAD", "/healthz").header("Origin", origin).into());
    }
    for key in keys {
        cases.push(issue().bearer(key).bearer(key).into());
        cases.push(issue().bearer("first-site-key").bearer(key).into());
    }
    cases
}

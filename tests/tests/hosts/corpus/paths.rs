//! Methods, paths and queries.

use guestpass_tests::host::{OPERATOR, sessions};
use guestpass_tests::http_client::Request;

use super::{DEVICE, both};
use crate::wire::Case;

/// Methods that HTTP has, methods that it might have, and words that are none.
const METHODS: [&str; 18] = [
    "GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND",
    "PURGE", "QUERY", "M-SEARCH", "get", "Post", "FOO", "GETT", "G!T",
];

/// Every method on every route, and where there is none.
pub(crate) fn methods() -> Vec<Case> {
    let devices = sessions(DEVICE);
    let targets = [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/metrics",
        "/v1/stats",
        "/v1/sweep",
        "/v1/revocations",
        "/v1/revocations/g-1",
        "/v1/revocations/g-1/retry",
        &devices,
        &format!("{devices}/g-1"),
        &format!("{devices}/g-1/renew"),
        "/",
        "/nowhere",
        "/redis",
        "/favicon.ico",
    ];
    let pairs = targets.iter().flat_map(|target| METHODS.map(|method| (method, *target)));
    pairs.flat_map(|(method, target)| both(method, target)).collect()
}

/// Paths and queries that need not be any.
pub(crate) fn targets() -> Vec<Case> {
    let plain = PLAIN.iter().flat_map(|target| both("GET", target));
    let queries = QUERIES.iter().flat_map(|query| {
        both("GET", &format!("/v1/revocations{query}"))
            .into_iter()
            .chain(both("GET", &format!("/healthz{query}")))
    });
    let fingerprints = NAMES.iter().flat_map(|name| {
        let list = both("GET", &sessions(name));
        let guest = format!("{}/{name}", sessions(DEVICE));
        let renew = format!("{guest}/renew");
        list.into_iter()
            .chain(both("POST", &sessions(name)))
            .chain(both("DELETE", &guest))
            .chain(both("POST", &renew))
            .chain(both("DELETE", &format!("/v1/revocations/{name}")))
    });
    let long = [1_000, 4_000, 12_000, 30_000].into_iter().flat_map(|length| {
        let name = "x".repeat(length);
        [
            Request::new("GET", &format!("/{name}")).into(),
            Request::new("GET", &sessions(&name)).bearer(OPERATOR).into(),
            Request::new("GET", &format!("/v1/revocations?state={name}")).bearer(OPERATOR).into(),
            Request::new("GET", &format!("/{}", "a/".repeat(length / 2))).into(),
        ]
    });
    let raw = RAW.iter().map(|target| {
        let line =
            [b"GET ", *target, b" HTTP/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n"];
        Case::raw(line.concat())
    });
    plain.chain(queries).chain(fingerprints).chain(long).chain(raw).collect()
}

/// Dot segments, empty segments, escapes, and characters that URLs do not have.
const PLAIN: [&str; 74] = [
    "//",
    "///",
    "//v1/stats",
    "/v1//stats",
    "/v1/stats/",
    "/v1/stats//",
    "/V1/stats",
    "/v1/Stats",
    "/./v1/stats",
    "/v1/./stats",
    "/v1/stats/.",
    "/v1/stats/..",
    "/..",
    "/.",
    "/../v1/stats",
    "/../../v1/stats",
    "/v1/x/../stats",
    "/x/../healthz",
    "/./healthz",
    "/healthz/.",
    "/healthz/..",
    "/v1/%2e/stats",
    "/v1/x/%2e%2e/stats",
    "/v1/x/%2E./stats",
    "/v1/x/.%2e/stats",
    "/%2e%2e/healthz",
    "/v1/x/..%2fstats",
    "/v1/x/%2e%2e%2fstats",
    "/v1/.../stats",
    "/v1/stats/...",
    "/...",
    "/v1/x/..;/stats",
    "/v1/x/..\\stats",
    "/v1\\stats",
    "\\v1\\stats",
    "/v1/x\\..\\stats",
    "/v1/stat%73",
    "/v1%2fstats",
    "/%76%31/stats",
    "/healthz%",
    "/healthz%2",
    "/healthz%zz",
    "/healthz%00",
    "/healthz%20",
    "/healthz%0a",
    "/healthz%0d%0aX: y",
    "/healthz+",
    "/healthz;a=b",
    "/healthz,",
    "/healthz&",
    "/healthz=",
    "/healthz'",
    "/healthz!",
    "/healthz(",
    "/healthz~",
    "/healthz*",
    "/healthz@x",
    "/healthz:80",
    "/healthz|",
    "/healthz^",
    "/healthz`",
    "/healthz{}",
    "/healthz[]",
    "/healthz\"",
    "/healthz<>",
    "/healthz#",
    "/healthz#x",
    "/v1/stats#x",
    "/v1/stats?#x",
    "/v1/stats#?x=1",
    "/@evil.example/",
    "/https://evil.example/",
    "/.well-known/openid-configuration",
    "/%E2%98%83",
];

const QUERIES: [&str; 44] = [
    "?",
    "??",
    "?&",
    "?=",
    "?&&",
    "?state",
    "?state=",
    "?state=pending",
    "?state=stuck",
    "?state=STUCK",
    "?State=stuck",
    "?state=stuck&",
    "?&state=stuck",
    "?state=stuck&&limit=1",
    "?state=stuck&state=stuck",
    "?state=%73tuck",
    "?st%61te=stuck",
    "?state=stuck%20",
    "?state=+stuck",
    "?state=stuck;limit=1",
    "?limit",
    "?limit=",
    "?limit=0",
    "?limit=1",
    "?limit=01",
    "?limit=1000",
    "?limit=1001",
    "?limit=-1",
    "?limit=+1",
    "?limit=1.0",
    "?limit=1e2",
    "?limit=0x10",
    "?limit= 1",
    "?limit=%31",
    "?limit=\u{661}",
    "?limit=1&limit=1",
    "?limit=99999999999999999999999",
    "?limit=1?x",
    "?limit=1#x",
    "?limit=1/../2",
    "?a[]=1",
    "?a={\"b\":1}",
    "?%00",
    "?%zz",
];

/// Fingerprints and guest ids, good and bad.
const NAMES: [&str; 40] = [
    "short",
    "exactly8",
    "device-12345",
    "A.Z_a~z-09",
    ".",
    "..",
    "...",
    "........",
    "%2e",
    "%2E%2e",
    "%2e%2e%2e%2e",
    "~~~~~~~~",
    "--------",
    "________",
    "with%20space",
    "with+plus",
    "with:colon",
    "with;semicolon",
    "with,comma",
    "with@at-sign",
    "with=equals",
    "with&and-sign",
    "with$dollar",
    "with!bang",
    "with'quote",
    "with(paren)",
    "with*star",
    "with%2Fslash",
    "with%00null",
    "with%",
    "with%zz",
    "%64evice-1",
    "d\u{e9}vice-1234",
    "\u{1f600}\u{1f600}\u{1f600}",
    "with|pipe",
    "with^caret",
    "with`tick",
    "with\"quote",
    "with<angle>",
    "with\\slash",
];

/// What may not stand in a request line at all.
const RAW: [&[u8]; 16] = [
    b"",
    b" /healthz",
    b"/healthz ",
    b"/health z",
    b"/healthz\tx",
    b"healthz",
    b"*",
    b"?x",
    b"#",
    b".",
    b"http://guestpass.test/healthz",
    b"http://other.test/healthz",
    b"https://guestpass.test/v1/x/../stats",
    b"/healthz\xff",
    b"/\xc3\x28",
    b"/healthz\x00",
];

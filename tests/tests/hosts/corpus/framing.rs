//! How a request is framed: chunks, lengths, versions, hosts, and what is hardly HTTP.

use crate::wire::Case;

const ISSUE: &str = "POST /v1/devices/device-of-the-corpus/sessions HTTP/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n";
const GET: &str = "GET /healthz HTTP/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n";

/// Heads and bodies as they go over the wire.
pub(crate) fn all() -> Vec<Case> {
    let issues = ISSUES.iter().map(|rest| Case::raw(format!("{ISSUE}{rest}")));
    let gets = GETS.iter().map(|rest| Case::raw(format!("{GET}{rest}")));
    let whole = WHOLE.iter().map(Case::raw);
    let big = format!(
        "{ISSUE}Transfer-Encoding: chunked\r\n\r\n4e20\r\n{}\r\n0\r\n\r\n",
        "x".repeat(20_000)
    );
    issues.chain(gets).chain(whole).chain([Case::raw(big)]).collect()
}

const ISSUES: [&str; 17] = [
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n02\r\n{}\r\n0\r\nX-Trailer: y\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "Transfer-Encoding: gzip\r\n\r\n{}",
    "Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{}",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 02\r\n\r\n{}",
    "Content-Length: +2\r\n\r\n{}",
    "Content-Length: -1\r\n\r\n{}",
    "Content-Length: x\r\n\r\n{}",
    "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "Content-Length: 99999999999999999999\r\n\r\n{}",
    "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
];

const GETS: [&str; 16] = [
    "\r\n",
    "Expect: 100-continue\r\n\r\n",
    "Expect: something-else\r\n\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: x\r\n\r\n",
    "TE: trailers\r\n\r\n",
    "Max-Forwards: 0\r\n\r\n",
    "Host: guestpass.test\r\n\r\n",
    "Host: other.test\r\n\r\n",
    "X-A: b\r\n c\r\n\r\n",
    "X-A : b\r\n\r\n",
    "X-A\r\n\r\n",
    ": b\r\n\r\n",
    "X A: b\r\n\r\n",
    "X-\u{e9}: b\r\n\r\n",
    "X-A: b\nX-C: d\r\n\r\n",
];

const WHOLE: [&str; 24] = [
    "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x y\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:99999\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: user@guestpass.test\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: guestpass.test/v1\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: guestpass.test?x\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: GUESTPASS.test:80\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: \u{fc}.test\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.0\r\n\r\n",
    "GET /healthz HTTP/1.0\r\nHost: guestpass.test\r\n\r\n",
    "GET /healthz HTTP/1.2\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/2.0\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/9\r\nHost: guestpass.test\r\n\r\n",
    "GET /healthz http/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n",
    "GET /healthz\r\n\r\n",
    "GET\r\n\r\n",
    "\r\nGET /healthz HTTP/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\nHost: guestpass.test\nConnection: close\n\n",
    "GET  /healthz  HTTP/1.1\r\nHost: guestpass.test\r\nConnection: close\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\r\n\r\n",
    "nonsense\r\n\r\n",
];

//! The router: what may be sent, what every answer carries, and what no answer or log line holds.

mod anything;
mod inputs;
mod secrecy;
mod shapes;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::test_support::FINGERPRINT;

/// Headers, repeated names kept.
fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// A request with no header but these.
fn send(method: &str, path: &str, pairs: &[(&str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap();
    *request.headers_mut() = headers(pairs);
    request
}

fn sessions(rest: &str) -> String {
    format!("/v1/devices/{FINGERPRINT}/sessions{rest}")
}

//! From the runtime's request to `http::Request<Bytes>`, and from `http::Response<Bytes>` back, each in one crossing
//! from or to JavaScript. Nothing that a client sends makes either fail.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use wasm_bindgen::prelude::wasm_bindgen;

/// Set by Cloudflare; what a client sends under this name never arrives.
const CLIENT_ADDRESS: &str = "cf-connecting-ip";

#[wasm_bindgen]
extern "C" {
    /// Where a request is answered: the class of this name in `shim.js`.
    pub type Exchange;

    #[wasm_bindgen(method)]
    fn answer(this: &Exchange, status: u16, head: &str, body: &[u8]);

    /// Nothing is left to do for the request.
    #[wasm_bindgen(method)]
    pub(crate) fn finish(this: &Exchange);
}

impl Exchange {
    /// Sends the answer.
    pub(crate) fn send(&self, response: &http::Response<Bytes>) {
        let mut head = String::with_capacity(512);
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                for part in [name.as_str(), "\n", value, "\n"] {
                    head.push_str(part);
                }
            }
        }
        self.answer(response.status().as_u16(), &head, response.body());
    }
}

/// Reads a request, and the address it comes from. `head` has a line for its method, one for its URL, and two for each
/// header.
pub(crate) fn read(head: &str, body: Vec<u8>) -> (http::Request<Bytes>, Option<IpAddr>) {
    let mut lines = head.split('\n');
    let method = lines.next().unwrap_or_default();
    let url = lines.next().unwrap_or_default();
    let headers = header_map(lines);
    let client = headers
        .get(CLIENT_ADDRESS)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok());
    let mut whole = http::Request::new(Bytes::from(body));
    *whole.headers_mut() = headers;
    // A path or a method that the http crate does not know is one that no route has.
    *whole.uri_mut() = target(url).parse().unwrap_or_else(|_| Uri::from_static("/"));
    *whole.method_mut() = Method::from_bytes(method.as_bytes()).unwrap_or(Method::CONNECT);
    (whole, client)
}

/// The path and the query of a URL. Its host is whatever the client put into `Host`.
fn target(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// Names and values by turns.
fn header_map<'a>(mut lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    let mut map = HeaderMap::new();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&raw(value)))
        {
            map.append(name, value);
        }
    }
    map
}

/// A header's bytes: JavaScript shows each as a character of its own.
fn raw(value: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
    bytes.unwrap_or_else(|_| value.as_bytes().to_vec())
}

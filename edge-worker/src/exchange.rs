//! From the runtime's request to `http::Request<Bytes>`, and from `http::Response<Bytes>` back. Nothing that
//! a client sends makes either fail.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use guestpass_core::http::MAX_BODY_BYTES;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use worker::{ByteStream, Headers, ResponseBuilder};

/// Set by Cloudflare; what a client sends under this name never arrives.
const CLIENT_ADDRESS: &str = "cf-connecting-ip";

/// Reads a request, and the address it comes from. Of a body that is too long, as much is read as shows it.
pub(crate) async fn read(request: worker::Request) -> (http::Request<Bytes>, Option<IpAddr>) {
    // worker::Request::method takes every method it does not know for GET.
    let incoming = request.inner();
    let headers = header_map(request.headers());
    let client = headers
        .get(CLIENT_ADDRESS)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok());
    let body = match incoming.body() {
        Some(stream) => read_body(stream.into()).await,
        None => Bytes::new(),
    };
    let mut whole = http::Request::new(body);
    *whole.headers_mut() = headers;
    // A path or a method that the http crate does not know is one that no route has.
    *whole.uri_mut() = target(&incoming.url()).parse().unwrap_or_else(|_| Uri::from_static("/"));
    *whole.method_mut() =
        Method::from_bytes(incoming.method().as_bytes()).unwrap_or(Method::CONNECT);
    (whole, client)
}

/// The path and the query of a URL. Its host is whatever the client put into `Host`.
fn target(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// A body that breaks off is not taken for a shorter one: what stands for it is not JSON, so that whatever
/// reads a body refuses it.
async fn read_body(mut chunks: ByteStream) -> Bytes {
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Bytes::from_static(b"\0") };
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY_BYTES {
            break;
        }
    }
    body.truncate(MAX_BODY_BYTES.saturating_add(1));
    body.into()
}

fn header_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&raw(&value)))
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

/// The runtime's response.
pub(crate) fn response(answer: http::Response<Bytes>) -> worker::Response {
    let (parts, body) = answer.into_parts();
    let headers = Headers::new();
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            // Both are valid, so that this does not fail.
            let _ = headers.append(name.as_str(), value);
        }
    }
    let builder = ResponseBuilder::new().with_status(parts.status.as_u16()).with_headers(headers);
    // A status such as 204 may not have even an empty body.
    if body.is_empty() { builder.empty() } else { builder.fixed(body.into()) }
}

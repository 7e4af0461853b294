//! Cross-origin requests: which pages may call, and what their scripts may see.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::access::{Access, origin};
use super::problem::{Code, Problem};
use super::route::Route;

/// The answer to a preflight, or `None` when the request is none.
pub(super) fn preflight(
    access: &Access,
    parts: &Parts,
    route: Route<'_>,
) -> Option<Result<Response<Bytes>, Problem>> {
    let is_preflight = parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    if allowed_origin(access, &parts.headers).is_none() {
        return Some(Err(Problem::new(
            Code::OriginNotAllowed,
            "the page's origin is not one of ALLOWED_ORIGINS",
        )));
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&route.allow()) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let allowed =
        HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, X-Request-Id");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(Ok(response))
}

/// Marks any answer, errors included, for the page that asked.
pub(super) fn mark(access: &Access, parts: &Parts, headers: &mut HeaderMap) {
    mark_any(headers);
    if let Some(value) = allowed_origin(access, &parts.headers) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}

/// Marks an answer with what holds for every page.
pub(super) fn mark_any(headers: &mut HeaderMap) {
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let exposed = HeaderValue::from_static("X-Request-Id, Retry-After, Idempotency-Replayed");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// What to tell a browser about its page's origin: nothing when it is not allowed.
fn allowed_origin(access: &Access, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = origin(headers).ok()?;
    if access.allowed_origins.is_empty() {
        let is_repeated = origin.is_some_and(|origin| !access.allows_origin(&origin));
        return (!is_repeated).then(|| HeaderValue::from_static("*"));
    }
    let origin = origin.filter(|origin| access.allows_origin(origin))?;
    HeaderValue::from_str(&origin).ok()
}

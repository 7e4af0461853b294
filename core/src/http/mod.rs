//! HTTP, once for both hosts: from a request to its answer. [`route`] says what there is, [`access`] who
//! may, [`input`] what may be sent, [`calls`] what is done, [`problem`] how it fails.

pub mod access;
mod calls;
mod cors;
mod input;
mod metrics;
mod openapi;
pub(crate) mod problem;
mod route;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;

use self::access::{bearer, header, origin};
use self::problem::{Code, Problem};
use self::route::{Call, Caller, Route};
use crate::config::Mistakes;
use crate::names::hex;
use crate::seams::{Clock, GuestProvider, SessionStore};
use crate::secret::Secret;
use crate::service::{After, Answer, App};

/// The longest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A request on its way through the calls.
pub(crate) struct Exchange<'a> {
    parts: &'a http::request::Parts,
    body: &'a [u8],
    client: Option<IpAddr>,
    /// The bearer token of who calls, where the call needs one.
    bearer: Option<Secret>,
    /// What the request left to do.
    after: After,
    /// Short hash of the device, for the log.
    device: Option<String>,
}

/// Answers one request.
pub(crate) async fn handle<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    request: Request<Bytes>,
    client: Option<IpAddr>,
) -> Answer {
    let begun = app.clock.now();
    let (mut parts, body) = request.into_parts();
    input::drop_empty(&mut parts.headers);
    let id = input::request_id(&parts.headers).unwrap_or_else(|| hex(&app.clock.random()));
    let route = Route::of(parts.uri.path());
    let mut exchange = Exchange {
        parts: &parts,
        body: &body,
        client,
        bearer: None,
        after: After::default(),
        device: None,
    };
    let outcome = match route {
        Some(route) => answer(app, &mut exchange, route).await,
        None => Err(Problem::new(
            Code::RouteNotFound,
            "there is no such route; /openapi.json lists them",
        )),
    };
    let (code, context_id) = outcome
        .as_ref()
        .err()
        .map_or((None, None), |p| (Some(p.code.as_str()), p.context_id.clone()));
    let mut response = outcome.unwrap_or_else(|problem| problem.response(&id));
    if parts.method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    finish_headers(app, &parts, &id, &mut response);

    let duration_ms = app.clock.now().since(begun);
    let template = route.map_or("unmatched", Route::template);
    let method = method_name(&parts.method);
    let status = response.status().as_u16();
    app.instruments.request(method, template, status, duration_ms);
    tracing::info!(
        request_id = id,
        method,
        route = template,
        status,
        duration_ms,
        code,
        device = exchange.device,
        context_id,
        "request"
    );
    Answer { response, after: exchange.after }
}

/// The answer of a host to a request whose handler failed. This problem and the next are the only ones
/// that are not made by [`App::handle`]: nothing of the request is known.
#[must_use]
pub fn internal_error() -> Response<Bytes> {
    internal("a bug; the log of the server has more")
}

/// The answer of a host that cannot refuse to start: names every variable that is wrong, and no value.
#[must_use]
pub fn misconfigured(mistakes: &Mistakes) -> Response<Bytes> {
    internal(&format!("the configuration is wrong; {}", mistakes.to_string().replace('\n', "; ")))
}

fn internal(detail: &str) -> Response<Bytes> {
    const ID: &str = "unknown";
    let mut response = Problem::new(Code::Internal, detail).response(ID);
    let headers = response.headers_mut();
    headers.insert(input::REQUEST_ID, HeaderValue::from_static(ID));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    cors::mark_any(headers);
    response
}

/// Finds out what is asked, and whether the caller may; then does it.
async fn answer<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    exchange: &mut Exchange<'_>,
    route: Route<'_>,
) -> Result<Response<Bytes>, Problem> {
    let parts = exchange.parts;
    let access = &app.rules.access;
    if let Some(preflight) = cors::preflight(access, parts, route) {
        return preflight;
    }
    let call =
        route.call(&parts.method).ok_or_else(|| Problem::method_not_allowed(route.allow()))?;
    if call.caller() != Caller::Anyone {
        authorize(app, exchange, call)?;
        refuse_origin(app, exchange, call)?;
        match call {
            Call::Revocations => {}
            _ => input::no_query(parts.uri.query())?,
        }
    }
    calls::make(app, exchange, route, call).await
}

/// Whether the caller shows what the call needs. A guest's token is checked where its session is.
fn authorize<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    exchange: &mut Exchange<'_>,
    call: Call,
) -> Result<(), Problem> {
    let access = &app.rules.access;
    let headers = &exchange.parts.headers;
    let token = bearer(headers);
    let unauthorized = |detail: &str| Err(Problem::new(Code::Unauthorized, detail));
    let is_repeated = header(headers, &http::header::AUTHORIZATION)
        .map_or(true, |value| value.is_some_and(|v| v.contains(", ")));
    if is_repeated {
        return unauthorized("Authorization must be sent once");
    }
    match call.caller() {
        Caller::Anyone => {}
        Caller::Operator if access.operator_tokens.is_empty() => {
            return Err(Problem::new(Code::OperatorDisabled, "no OPERATOR_TOKEN is configured"));
        }
        Caller::Operator
            if !token.as_ref().is_some_and(|token| access.is_operator(token.expose())) =>
        {
            return unauthorized("this call needs Authorization: Bearer with an operator's token");
        }
        Caller::Site
            if !access.issue_keys.is_empty()
                && !token.as_ref().is_some_and(|token| access.is_issuer(token.expose())) =>
        {
            return unauthorized("this call needs Authorization: Bearer with a site's key");
        }
        Caller::Guest | Caller::GuestOrOperator if token.is_none() => {
            return unauthorized(
                "this call needs Authorization: Bearer with the session's guestToken",
            );
        }
        _ => {}
    }
    exchange.bearer = token;
    Ok(())
}

/// Whether the page that the request comes from may make it. A repeated origin is refused everywhere.
fn refuse_origin<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    exchange: &Exchange<'_>,
    call: Call,
) -> Result<(), Problem> {
    let refused = match origin(&exchange.parts.headers) {
        Ok(None) => false,
        Ok(Some(origin)) if call.caller() == Caller::Site => {
            !app.rules.access.allows_origin(&origin)
        }
        Ok(Some(origin)) => origin.contains(','),
        Err(()) => true,
    };
    if refused {
        return Err(Problem::new(
            Code::OriginNotAllowed,
            "the page's origin is not one of ALLOWED_ORIGINS",
        ));
    }
    Ok(())
}

/// What every answer carries.
fn finish_headers<S, P, C>(
    app: &App<S, P, C>,
    parts: &http::request::Parts,
    id: &str,
    response: &mut Response<Bytes>,
) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(input::REQUEST_ID, id);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    cors::mark(&app.rules.access, parts, headers);
}

/// A method's name among the known ones, so that metrics stay bounded.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A value as JSON. The shapes that are written here can always be.
fn json<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).map_or_else(
        |error| {
            tracing::error!(%error, "an answer that cannot be written as JSON");
            Bytes::from_static(b"{}")
        },
        Bytes::from,
    )
}

/// A JSON answer.
fn json_answer<T: Serialize>(status: StatusCode, value: &T) -> Response<Bytes> {
    written_answer(status, json(value))
}

/// An answer that is JSON already.
fn written_answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

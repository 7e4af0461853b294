//! Sends a call with its deadline and reads the answer: success, or a fault with what Genesys says of it.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use serde::Deserialize;

use crate::seams::{CallFault, Clock, Context, FaultKind, Host, HttpFault, HttpSend};
use crate::service::retry::parse_retry_after;
use crate::service::within;

impl CallFault {
    pub(super) fn new(host: Host, kind: FaultKind) -> Self {
        Self { host, kind, retry_after_ms: None, context: Box::default(), guest: None }
    }

    pub(super) fn unreadable(host: Host, what: &str) -> Self {
        Self::new(host, FaultKind::Unreadable(what.to_owned()))
    }
}

/// Sends a request and answers a 2xx; anything else is a fault.
pub(super) async fn call<H: HttpSend, C: Clock>(
    http: &H,
    clock: &C,
    host: Host,
    request: Request<Bytes>,
    budget: Duration,
) -> Result<Response<Bytes>, CallFault> {
    let millis = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        // Sent, it could be done and never be heard of.
        return Err(CallFault::new(host, FaultKind::NotSent("no time was left for it".to_owned())));
    }
    let kind = match within(clock, millis, http.send(request)).await {
        Some(Ok(response)) if response.status().is_success() => return Ok(response),
        Some(Ok(response)) => {
            let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(CallFault {
                retry_after_ms: after.and_then(|text| parse_retry_after(text, clock.now())),
                context: Box::new(context(&response)),
                ..CallFault::new(host, FaultKind::Status(response.status().as_u16()))
            });
        }
        Some(Err(HttpFault::NotSent(why))) => FaultKind::NotSent(why),
        Some(Err(HttpFault::Broken(why))) => FaultKind::Broken(why),
        Some(Err(HttpFault::TimedOut(_))) | None => FaultKind::TimedOut,
    };
    Err(CallFault::new(host, kind))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    code: Option<String>,
    context_id: Option<String>,
    status: Option<u16>,
}

fn context(response: &Response<Bytes>) -> Context {
    let body = serde_json::from_slice::<ErrorBody>(response.body()).ok();
    let (code, context_id, status) =
        body.map_or((None, None, None), |b| (b.code, b.context_id, b.status));
    Context {
        is_genesys: code.is_some()
            && (context_id.is_some() || status == Some(response.status().as_u16())),
        code: code.filter(|text| is_id(text)),
        context_id: context_id.filter(|text| is_id(text)),
        correlation_id: correlation_id(response.headers()),
    }
}

fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("inin-correlation-id")?.to_str().ok()?;
    is_id(text).then(|| text.to_owned())
}

/// Whether a text may go into logs: a hostile answer could hold anything.
fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

//! Problem answers (RFC 9457): every error that a caller can get, with its status, code and words.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::seams::{CallFault, FaultKind, Host, StoreFault};
use crate::service::calls::CreateFailure;
use crate::service::issue::Failure;
use crate::service::retry::GiveUp;
use crate::time::{UnixMillis, whole_seconds};

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal)*) => {
        /// The codes of all problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($variant),* }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) const fn status(self) -> u16 { match self { $(Self::$variant => $status),* } }

            pub(crate) const fn as_str(self) -> &'static str { match self { $(Self::$variant => $code),* } }

            const fn title(self) -> &'static str { match self { $(Self::$variant => $title),* } }
        }
    };
}
codes! {
    InvalidFingerprint 400 "invalid_fingerprint" "Invalid fingerprint"
    InvalidGuestId 400 "invalid_guest_id" "Invalid guest id"
    InvalidBody 400 "invalid_body" "Invalid body"
    InvalidQuery 400 "invalid_query" "Invalid query"
    InvalidIdempotencyKey 400 "invalid_idempotency_key" "Invalid idempotency key"
    Unauthorized 401 "unauthorized" "Unauthorized"
    OriginNotAllowed 403 "origin_not_allowed" "Origin not allowed"
    OperatorDisabled 403 "operator_disabled" "Operator calls are disabled"
    RouteNotFound 404 "route_not_found" "No such route"
    SessionNotFound 404 "session_not_found" "No such session"
    RevocationNotFound 404 "revocation_not_found" "No such revocation"
    MethodNotAllowed 405 "method_not_allowed" "Method not allowed"
    IdempotencyInFlight 409 "idempotency_in_flight" "The first request is still running"
    BodyTooLarge 413 "body_too_large" "Body too large"
    UnsupportedMediaType 415 "unsupported_media_type" "Unsupported media type"
    IdempotencyMismatch 422 "idempotency_mismatch" "The idempotency key belongs to another request"
    RateLimited 429 "rate_limited" "Too many issues"
    DeviceBusy 429 "device_busy" "The device is busy"
    Internal 500 "internal" "Internal error"
    GenesysUnauthorized 502 "genesys_unauthorized" "Genesys refused the credentials"
    GenesysForbidden 502 "genesys_forbidden" "Genesys refused permission"
    GenesysRejected 502 "genesys_rejected" "Genesys rejected the request"
    GenesysFailed 502 "genesys_failed" "Genesys failed"
    GenesysRateLimited 503 "genesys_rate_limited" "Genesys is rate limited"
    StoreUnavailable 503 "store_unavailable" "The session store is unavailable"
    GenesysTimeout 504 "genesys_timeout" "Genesys timed out"
}

/// An error on its way to a caller.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    detail: String,
    retry_after_seconds: Option<u64>,
    allow: Option<String>,
    /// Genesys' id of the call behind it, for the log.
    pub(crate) context_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after_seconds: None,
            allow: None,
            context_id: None,
        }
    }

    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this route answers {allow}");
        Self { allow: Some(allow), ..Self::new(Code::MethodNotAllowed, detail) }
    }

    /// The answer. `request_id` is visible ASCII.
    pub(crate) fn response(&self, request_id: &str) -> Response<Bytes> {
        let body = Body {
            r#type: format!("urn:guestpass:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            retry_after_seconds: self.retry_after_seconds,
        };
        let mut response = Response::new(super::json(&body));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) =
            self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok())
        {
            headers.insert(ALLOW, allow);
        }
        if self.code == Code::Unauthorized {
            headers
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="guestpass""#));
        }
        response
    }

    pub(crate) fn of_store(fault: &StoreFault) -> Self {
        tracing::warn!(error = %fault, "the store failed");
        Self::new(
            Code::StoreUnavailable,
            "the session store could not be reached or refused; try again shortly",
        )
        .after(1)
    }

    pub(crate) fn of_failure(failure: &Failure, now: UnixMillis) -> Self {
        match failure {
            Failure::Store(fault) | Failure::Create(CreateFailure::Store(fault)) => Self::of_store(fault),
            Failure::Create(CreateFailure::Call(fault, why)) => {
                Self { context_id: fault.context.context_id.clone(), ..Self::of_call(fault, *why) }
            }
            Failure::Create(CreateFailure::CoolDown(rest)) => Self::resting(*rest),
            Failure::CoolDown(until) => Self::resting(until.since(now)),
            Failure::RateLimited(until) => {
                Self::new(Code::RateLimited, "more sessions were asked for in this minute than are allowed for this device or address")
                    .after(whole_seconds(until.since(now)))
            }
            Failure::Busy => {
                Self::new(Code::DeviceBusy, "as many sessions are being created for this device as it may have").after(1)
            }
            Failure::InFlight => {
                Self::new(Code::IdempotencyInFlight, "the first request with this Idempotency-Key has no answer yet").after(1)
            }
            Failure::Mismatch => Self::new(
                Code::IdempotencyMismatch,
                "this Idempotency-Key was used with another body; use a new key for a new request",
            ),
        }
    }

    fn resting(rest_ms: u64) -> Self {
        Self::new(Code::GenesysRateLimited, "Genesys asked to be left alone for a while")
            .after(whole_seconds(rest_ms))
    }

    fn of_call(fault: &CallFault, why: GiveUp) -> Self {
        let said = fault.to_string();
        match (fault.host, &fault.kind) {
            (Host::Login, FaultKind::Status(400 | 401)) => Self::new(
                Code::GenesysUnauthorized,
                format!(
                    "{said}: check GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REGION"
                ),
            ),
            (Host::Api, FaultKind::Status(401)) => Self::new(
                Code::GenesysUnauthorized,
                format!(
                    "{said} to a new access token: check that GENESYS_REGION is the region of the OAuth client"
                ),
            ),
            (_, FaultKind::Status(403)) => Self::new(
                Code::GenesysForbidden,
                format!(
                    "{said}: the OAuth client needs the scope messaging:guest:manage and a role with the permission \
                     to manage messaging guests (Genesys Cloud Admin, Integrations, OAuth)"
                ),
            ),
            (_, FaultKind::Status(status @ (429 | 500..=599))) => match (fault.retry_after_ms, why)
            {
                (Some(rest), GiveUp::DoesNotFit(_)) => Self::resting(rest),
                (Some(rest), GiveUp::Exhausted(_) | GiveUp::Final) if *status == 429 => {
                    Self::resting(rest)
                }
                (None, GiveUp::Exhausted(delay)) if *status == 429 => Self::resting(delay),
                _ => Self::new(Code::GenesysFailed, said),
            },
            (_, FaultKind::Status(400..=499)) => Self::new(Code::GenesysRejected, said),
            (_, FaultKind::TimedOut) => Self::new(Code::GenesysTimeout, said),
            (_, FaultKind::NotSent(_) | FaultKind::Broken(_)) => {
                Self::new(Code::GenesysFailed, fault.kind_told())
            }
            _ => Self::new(Code::GenesysFailed, said),
        }
    }
}

//! Refusals, and the two shapes in which Genesys words them: the API's and the login host's.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// Why a call was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By the API.
    Api {
        status: StatusCode,
        code: &'static str,
        message: Cow<'static, str>,
        /// The message before its parameters were filled in.
        with_params: Option<&'static str>,
        /// Seconds, for a 429.
        retry_after: Option<u64>,
    },
    /// By the login host.
    OAuth { status: StatusCode, error: &'static str, description: &'static str },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenesysError<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_with_params: Option<&'a str>,
    context_id: &'a str,
    details: [(); 0],
    errors: [(); 0],
}

impl Refusal {
    /// A refusal of the API.
    pub(crate) fn api(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Api { status, code, message: message.into(), with_params: None, retry_after: None }
    }

    /// 400 of the API.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::api(StatusCode::BAD_REQUEST, "bad.request", message)
    }

    /// 401 of the API.
    pub(crate) fn bad_credentials() -> Self {
        Self::api(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials.")
    }

    /// 403 of the API: the token lacks the scope.
    pub(crate) fn missing_scope(scope: &str) -> Self {
        Self::Api {
            status: StatusCode::FORBIDDEN,
            code: "missing.any.permissions",
            message: format!(
                "Unable to perform the requested action. You must have at least one of the \
                 following permissions assigned: [{scope}]"
            )
            .into(),
            with_params: Some(
                "Unable to perform the requested action. You must have at least one of the \
                 following permissions assigned: [{permissions}]",
            ),
            retry_after: None,
        }
    }

    /// 429 of the API.
    pub(crate) fn too_many(seconds: u64) -> Self {
        Self::Api {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "too.many.requests.retry.after",
            message: too_many_message(&seconds.to_string()).into(),
            with_params: None,
            retry_after: Some(seconds),
        }
    }

    /// The answer that tells it.
    pub(crate) fn into_response(self, context_id: &str) -> Response<Bytes> {
        match self {
            Self::Api { status, code, message, with_params, retry_after } => {
                let body = genesys_error(status, code, &message, with_params, context_id);
                let mut response = json_response(status, body);
                let headers = response.headers_mut();
                if let Some(seconds) = retry_after {
                    headers.insert(header::RETRY_AFTER, seconds.into());
                }
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
                }
                response
            }
            Self::OAuth { status, error, description } => {
                let body = json!({
                    "error": error, "description": description, "error_description": description,
                });
                let mut response = json_response(status, body.to_string());
                if status == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(
                        header::WWW_AUTHENTICATE,
                        HeaderValue::from_static("Basic realm=\"genesys-sim\""),
                    );
                }
                response
            }
        }
    }
}

/// An answer with a JSON body.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer of a `Status` fault.
pub(crate) fn status_fault(
    code: u16,
    retry_after: Option<&str>,
    body: Option<&str>,
    context_id: &str,
) -> Response<Bytes> {
    let status = crate::fault::Effect::status_of(code);
    let text = match body {
        Some(text) => text.to_owned(),
        None if status.as_u16() < 400 => String::new(),
        None => {
            let (code, message) = usual_words(status, retry_after);
            genesys_error(status, code, &message, None, context_id)
        }
    };
    let is_page = text.trim_start().starts_with('<');
    let mut response = json_response(status, text);
    let headers = response.headers_mut();
    if is_page {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(header::RETRY_AFTER, value);
    }
    response
}

fn genesys_error(
    status: StatusCode,
    code: &str,
    message: &str,
    message_with_params: Option<&str>,
    context_id: &str,
) -> String {
    json_text(&GenesysError {
        message,
        code,
        status: status.as_u16(),
        message_with_params,
        context_id,
        details: [],
        errors: [],
    })
}

/// JSON of a value that always has one (string keys, no failing serializer).
pub(crate) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| json!({"error": error.to_string()}).to_string())
}

fn too_many_message(seconds: &str) -> String {
    format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds")
}

fn usual_words(status: StatusCode, retry_after: Option<&str>) -> (&'static str, Cow<'static, str>) {
    let (code, message) = match status.as_u16() {
        400 => ("bad.request", "The request could not be understood."),
        401 => ("bad.credentials", "Invalid login credentials."),
        403 => ("not.authorized", "You are not authorized to perform the requested action."),
        404 => ("not.found", "The requested resource was not found."),
        405 => ("method.not.allowed", "The method is not allowed for this resource."),
        408 => ("request.timeout", "The request timed out."),
        409 => ("general.conflict", "The request conflicts with the resource's state."),
        410 => ("gone", "The requested resource is gone."),
        413 => ("request.entity.too.large", "The request is too large."),
        415 => ("unsupported.media.type", "The media type is not supported."),
        429 => {
            let message = too_many_message(retry_after.unwrap_or("60"));
            return ("too.many.requests.retry.after", message.into());
        }
        500 => ("internal.server.error", "The server encountered an unexpected condition."),
        502 => ("bad.gateway", "The gateway received an invalid response."),
        503 => {
            ("service.unavailable", "Service Unavailable - The server is currently unavailable.")
        }
        504 => ("gateway.timeout", "The request timed out."),
        _ => ("general.error", "The request failed."),
    };
    (code, message.into())
}

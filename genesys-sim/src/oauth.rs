//! `POST /oauth/token`: client credentials against an access token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::config::{MANAGE_SCOPE, SimConfig};
use crate::errors::{Refusal, json_response};
use crate::ids::Ids;
use crate::state::{AccessToken, State};

/// Hands out an access token.
pub(crate) fn token(
    state: &mut State,
    config: &SimConfig,
    ids: &Ids,
    headers: &HeaderMap,
    body: &[u8],
    now_ms: u64,
) -> Result<Response<Bytes>, Refusal> {
    if !is_client(config, headers) {
        return Err(Refusal::OAuth {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: "client not found or invalid client",
        });
    }
    let asked = asked_scopes(headers, body)?;
    let granted = |scope: &str| {
        (config.granted_scopes.as_ref()).is_none_or(|granted| granted.iter().any(|s| s == scope))
    };
    let may_manage = granted(MANAGE_SCOPE)
        && (asked.trim().is_empty() || asked.split_whitespace().any(|s| s == MANAGE_SCOPE));

    let access_token = ids.access_token();
    let ttl_seconds = state.settings.token_ttl_seconds;
    state.access_tokens.insert(
        access_token.clone(),
        AccessToken {
            expires_at_ms: now_ms.saturating_add(ttl_seconds.saturating_mul(1000)),
            may_manage,
        },
    );
    let answer = json!({
        "access_token": access_token, "token_type": "bearer", "expires_in": ttl_seconds,
    });
    let mut response = json_response(StatusCode::OK, answer.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whether the request carries the client's id and secret.
pub(crate) fn is_client(config: &SimConfig, headers: &HeaderMap) -> bool {
    let credentials = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        scheme.eq_ignore_ascii_case("basic").then_some(decoded)
    };
    let expected = format!("{}:{}", config.client_id, config.client_secret);
    credentials().is_some_and(|given| given == expected.as_bytes())
}

/// The `scope` of a well-formed client credentials form; empty when there is none.
fn asked_scopes(headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let bad =
        |error, description| Refusal::OAuth { status: StatusCode::BAD_REQUEST, error, description };
    if !has_media_type(headers, "application/x-www-form-urlencoded") {
        return Err(bad(
            "invalid_request",
            "the content type must be application/x-www-form-urlencoded",
        ));
    }
    let (mut grant_type, mut scope) = (None, None);
    for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let name = form_text(halves.next().unwrap_or_default());
        let value = form_text(halves.next().unwrap_or_default());
        let (Some(name), Some(value)) = (name, value) else {
            return Err(bad("invalid_request", "the form is malformed"));
        };
        let field = match name.as_str() {
            "grant_type" => &mut grant_type,
            "scope" => &mut scope,
            _ => continue,
        };
        if field.replace(value).is_some() {
            return Err(bad("invalid_request", "a form field is given twice"));
        }
    }
    if grant_type.as_deref() != Some("client_credentials") {
        return Err(bad("unsupported_grant_type", "grant_type must be client_credentials"));
    }
    Ok(scope.unwrap_or_default())
}

/// Whether the request declares that media type, whatever its parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|given| given.trim().eq_ignore_ascii_case(media_type))
}

/// Undoes form encoding; `None` when it is broken.
fn form_text(encoded: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        let digit = |b: &u8| char::from(*b).to_digit(16);
        text.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(text).ok()
}

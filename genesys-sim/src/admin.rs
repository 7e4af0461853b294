//! `/sim/…`: the ledger, faults and settings over HTTP, for whoever runs another process.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::api::BODY_LIMIT;
use crate::config::{RateLimit, Settings};
use crate::errors::{json_response, json_text};
use crate::fault::Fault;
use crate::ledger::{Call, CallKind, Guest};
use crate::state::{Shared, State};

type Answer = Result<String, (StatusCode, String)>;

const ROUTES: &str = "GET /sim/healthz, GET /sim/ledger[?kind=token|create|invalidate|other], \
    GET|POST|DELETE /sim/faults, GET|POST /sim/settings, DELETE /sim/tokens, POST /sim/reset";

/// Serves one admin call.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => {
            let query = head.uri.query().unwrap_or_default();
            let state = &mut *shared.state();
            handle(state, &head.method, head.uri.path(), query, &body.to_bytes())
        }
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("unreadable body: {error}"))),
    };
    match answer {
        Ok(body) => json_response(StatusCode::OK, body),
        Err((status, message)) => json_response(status, json!({"error": message}).to_string()),
    }
}

fn handle(state: &mut State, method: &Method, path: &str, query: &str, body: &[u8]) -> Answer {
    match (method.as_str(), path) {
        ("GET", "/sim/healthz") => Ok(json!({"status": "ok"}).to_string()),
        ("GET", "/sim/ledger") => ledger(state, query),
        ("GET", "/sim/faults") => Ok(faults(state)),
        ("POST", "/sim/faults") => {
            let fault: Fault = parse(body)?;
            fault.check().map_err(bad)?;
            state.faults.rules.push(fault);
            Ok(faults(state))
        }
        ("DELETE", "/sim/faults") => {
            state.faults.rules.clear();
            Ok(faults(state))
        }
        ("GET", "/sim/settings") => Ok(json_text(&state.settings)),
        ("POST", "/sim/settings") => {
            apply(state, parse(body)?);
            Ok(json_text(&state.settings))
        }
        ("DELETE", "/sim/tokens") => {
            let revoked = state.access_tokens.len();
            state.access_tokens.clear();
            Ok(json!({"revoked": revoked}).to_string())
        }
        ("POST", "/sim/reset") => {
            state.ledger.reset();
            state.faults.rules.clear();
            Ok(json!({"status": "reset"}).to_string())
        }
        (
            _,
            "/sim/healthz" | "/sim/ledger" | "/sim/faults" | "/sim/settings" | "/sim/tokens"
            | "/sim/reset",
        ) => Err((
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not for {path}; there are: {ROUTES}"),
        )),
        _ => Err((StatusCode::NOT_FOUND, format!("no {path} here; there are: {ROUTES}"))),
    }
}

#[derive(Serialize)]
struct LedgerView<'a> {
    guests: &'a [Guest],
    calls: Vec<&'a Call>,
}

fn ledger(state: &State, query: &str) -> Answer {
    let kind = match query.split_once('=') {
        None if query.is_empty() => None,
        Some(("kind", kind)) => Some(kind.parse::<CallKind>().map_err(bad)?),
        _ => return Err(bad(format!("unknown query `{query}`; there is kind=…"))),
    };
    let calls = state.ledger.calls.iter();
    Ok(json_text(&LedgerView {
        guests: &state.ledger.guests,
        calls: calls.filter(|call| kind.is_none_or(|kind| call.kind == kind)).collect(),
    }))
}

fn faults(state: &State) -> String {
    json_text(&json!({"faults": state.faults.rules}))
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsChange {
    #[serde(default, deserialize_with = "present")]
    rate_limit: Option<Option<RateLimit>>,
    token_ttl_seconds: Option<u64>,
    latency_ms: Option<LatencyChange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencyChange {
    create: Option<u64>,
    invalidate: Option<u64>,
    token: Option<u64>,
}

/// Tells `null` (lift the limit) from a field left out.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<RateLimit>>, D::Error> {
    Option::deserialize(input).map(Some)
}

fn apply(state: &mut State, change: SettingsChange) {
    if let Some(limit) = change.rate_limit {
        state.set_rate_limit(limit);
    }
    let Settings { token_ttl_seconds, latency_ms, .. } = &mut state.settings;
    if let Some(seconds) = change.token_ttl_seconds {
        *token_ttl_seconds = seconds;
    }
    if let Some(change) = change.latency_ms {
        latency_ms.create = change.create.unwrap_or(latency_ms.create);
        latency_ms.invalidate = change.invalidate.unwrap_or(latency_ms.invalidate);
        latency_ms.token = change.token.unwrap_or(latency_ms.token);
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    // serde would also read a struct from an array.
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    if !value.is_object() {
        return Err(bad("the body must be a JSON object".into()));
    }
    serde_json::from_value(value).map_err(|error| bad(error.to_string()))
}

fn bad(message: String) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, message)
}

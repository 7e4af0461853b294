//! What requests carry: bodies, queries, idempotency keys and request ids.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_BODY_BYTES;
use super::access::header;
use super::problem::{Code, Problem};
use crate::service::sha256;
use crate::store::ops::{Idempotency, RevocationState};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The body of an issue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IssueBody {
    /// The text of `routing`, a JSON object.
    pub(super) routing: Option<String>,
    /// The body as parsed JSON: equal for bodies that differ in layout only.
    pub(super) canonical: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    routing: Option<&'a RawValue>,
}

/// A field that is there has a value, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn invalid_body(error: &serde_json::Error, data: &str) -> Problem {
    let detail = if error.is_data() {
        data.to_owned()
    } else {
        format!("the body is not valid JSON (line {}, column {})", error.line(), error.column())
    };
    Problem::new(Code::InvalidBody, detail)
}

/// Checks a body's size and type.
fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if body.len() > MAX_BODY_BYTES {
        let detail = format!("the body is longer than {MAX_BODY_BYTES} bytes");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    if body.is_empty() || !headers.contains_key(CONTENT_TYPE) {
        return Ok(());
    }
    let is_json = header(headers, &CONTENT_TYPE).ok().flatten().is_some_and(|kind| {
        let essence = kind.split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case("application/json")
    });
    if is_json {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json"))
    }
}

/// The fields of a body; an empty body has none.
fn fields<'a>(headers: &HeaderMap, body: &'a [u8], data: &str) -> Result<Fields<'a>, Problem> {
    check_body(headers, body)?;
    if body.is_empty() {
        return Ok(Fields { routing: None });
    }
    // Derived readers take arrays for objects.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::InvalidBody, data));
    }
    serde_json::from_slice(body).map_err(|error| invalid_body(&error, data))
}

/// Reads the body of an issue.
pub(super) fn issue_body(headers: &HeaderMap, body: &[u8]) -> Result<IssueBody, Problem> {
    const DATA: &str =
        "the body must be a JSON object with no field but routing, which must be a JSON object";
    let routing = fields(headers, body, DATA)?.routing.map(RawValue::get);
    let mut canonical = String::new();
    if let Some(routing) = routing {
        if !routing.starts_with('{') {
            return Err(Problem::new(Code::InvalidBody, DATA));
        }
        let value: Value = serde_json::from_str(routing).map_err(|_| {
            Problem::new(
                Code::InvalidBody,
                "routing is nested too deeply or has a number out of range",
            )
        })?;
        write_canonical(&value, &mut canonical);
    }
    Ok(IssueBody { routing: routing.map(str::to_owned), canonical })
}

/// Reads the body of a call that takes none: empty, or an object without fields.
pub(super) fn no_body(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    const DATA: &str = "this call takes no body, or a JSON object without fields";
    match fields(headers, body, DATA)?.routing {
        None => Ok(()),
        Some(_) => Err(Problem::new(Code::InvalidBody, DATA)),
    }
}

/// Writes a value so that equal JSON gives equal text: sorted names, no spaces, whole numbers without a
/// fraction. The parser bounds the depth.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.iter().collect();
            names.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in names {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Number(number) => {
            // Adding 0.0 makes -0.0 the same as 0.
            let whole =
                number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15);
            out.push_str(
                &whole.map_or_else(|| number.to_string(), |whole| format!("{:.0}", whole + 0.0)),
            );
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Reads an idempotency key, if the request has one.
pub(super) fn idempotency(
    headers: &HeaderMap,
    body: &IssueBody,
) -> Result<Option<Idempotency>, Problem> {
    let invalid = || {
        Problem::new(
            Code::InvalidIdempotencyKey,
            "Idempotency-Key must be sent once and be 1 to 128 visible ASCII characters",
        )
    };
    let Some(key) = header(headers, &IDEMPOTENCY_KEY).map_err(|()| invalid())? else {
        return Ok(None);
    };
    if !(1..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid());
    }
    Ok(Some(Idempotency {
        key_hash: sha256(&key),
        body_hash: sha256(&body.canonical),
        overwrite: false,
    }))
}

/// Takes a header without a value for an absent one, which is how it reaches a Worker. Behind another value
/// it makes that a repeated header, there as here.
pub(super) fn drop_empty(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, ORIGIN, CONTENT_TYPE] {
        if headers.get(&name).is_some_and(HeaderValue::is_empty) {
            let all = headers.get_all(&name).iter();
            let kept: Vec<_> = all.skip_while(|value| value.is_empty()).cloned().collect();
            headers.remove(&name);
            for value in kept {
                headers.append(name.clone(), value);
            }
        }
    }
}

/// The caller's request id, if it is one.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = header(headers, &REQUEST_ID).ok()??;
    let good =
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    good.then_some(id)
}

/// The query of a list of revocations.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RevocationsQuery {
    pub(super) state: RevocationState,
    pub(super) limit: usize,
}

/// Reads the query of a list of revocations.
pub(super) fn revocations_query(query: Option<&str>) -> Result<RevocationsQuery, Problem> {
    let invalid = |detail: &str| Problem::new(Code::InvalidQuery, detail);
    let (mut state, mut limit) = (None, None);
    for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("state", value)) if state.is_none() => {
                let states = [RevocationState::Pending, RevocationState::Stuck];
                let named = states.into_iter().find(|state| state.as_str() == value);
                state = Some(named.ok_or_else(|| invalid("state must be pending or stuck"))?);
            }
            Some(("limit", value)) if limit.is_none() => {
                let number = Some(value)
                    .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|value| value.parse().ok())
                    .filter(|limit| (1..=1000).contains(limit));
                limit = Some(
                    number.ok_or_else(|| invalid("limit must be a whole number from 1 to 1000"))?,
                );
            }
            _ => return Err(invalid("the query may have state and limit, each once")),
        }
    }
    Ok(RevocationsQuery {
        state: state.unwrap_or(RevocationState::Pending),
        limit: limit.unwrap_or(100),
    })
}

/// Checks the query of a call that takes none.
pub(super) fn no_query(query: Option<&str>) -> Result<(), Problem> {
    if query.is_none_or(str::is_empty) {
        Ok(())
    } else {
        Err(Problem::new(Code::InvalidQuery, "this call takes no query"))
    }
}

//! The guests API: create and invalidate.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::clock::rfc3339;
use crate::errors::{Refusal, json_response, json_text};
use crate::ids::Ids;
use crate::ledger::Guest;
use crate::oauth::has_media_type;
use crate::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    #[serde(default, deserialize_with = "present")]
    routing: Option<Box<RawValue>>,
}

/// A field that is there is `Some`, even when it is `null`.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(input).map(Some)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    id: &'a str,
    guest_token: &'a str,
    created_timestamp: &'a str,
    modified_timestamp: &'a str,
}

/// Makes a guest; also returns its id for the ledger.
pub(crate) fn create(
    state: &mut State,
    ids: &Ids,
    headers: &HeaderMap,
    body: &[u8],
    now_ms: u64,
) -> Result<(Response<Bytes>, String), Refusal> {
    state.let_in(headers, now_ms)?;
    let routing = parse(headers, body)?;
    let id = ids.uuid();
    let token = ids.guest_token(&id, now_ms);
    let timestamp = rfc3339(now_ms);
    let response = json_response(
        StatusCode::OK,
        json_text(&Created {
            id: &id,
            guest_token: &token,
            created_timestamp: &timestamp,
            modified_timestamp: &timestamp,
        }),
    );
    state.ledger.add(Guest {
        id: id.clone(),
        token,
        created_at_ms: now_ms,
        invalidated_at_ms: Vec::new(),
        routing,
    });
    Ok((response, id))
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Option<Box<RawValue>>, Refusal> {
    if !has_media_type(headers, "application/json") {
        return Err(Refusal::bad_request("The content type must be application/json."));
    }
    // serde would also read the struct from an array.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_request("The body must be a JSON object."));
    }
    let CreateBody { routing } = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("The body cannot be read: {error}")))?;
    if (routing.as_ref()).is_some_and(|routing| !routing.get().starts_with('{')) {
        return Err(Refusal::bad_request("routing must be a JSON object."));
    }
    Ok(routing)
}

/// Invalidates a guest, as often as it is asked to.
pub(crate) fn invalidate(
    state: &mut State,
    id: &str,
    headers: &HeaderMap,
    now_ms: u64,
) -> Result<Response<Bytes>, Refusal> {
    state.let_in(headers, now_ms)?;
    let Some(guest) = state.ledger.guest(id) else {
        return Err(Refusal::api(
            StatusCode::NOT_FOUND,
            "not.found",
            "The requested guest was not found.",
        ));
    };
    guest.invalidated_at_ms.push(now_ms);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

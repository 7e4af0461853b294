//! The ledger: every guest that was made and every call that arrived, exactly and in order.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fault::Effect;

/// What a call was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// `POST /oauth/token`.
    Token,
    /// `POST {guests_path}`.
    Create,
    /// `POST {guests_path}/{id}/invalidate`.
    Invalidate,
    /// Anything else: a wrong method or an unknown path.
    Other,
}

impl FromStr for CallKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "token" => Ok(Self::Token),
            "create" => Ok(Self::Create),
            "invalidate" => Ok(Self::Invalidate),
            "other" => Ok(Self::Other),
            _ => Err(format!("unknown kind `{text}`: use token, create, invalidate or other")),
        }
    }
}

/// A guest that was made, whether or not its maker ever heard of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guest {
    /// Its id, a UUID.
    pub id: String,
    /// Its token; left out of JSON.
    #[serde(skip)]
    pub token: String,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was invalidated, in Unix milliseconds: once per call, so empty while it lives.
    pub invalidated_at_ms: Vec<u64>,
    /// The `routing` it was made with, byte for byte as it came.
    pub routing: Option<Box<RawValue>>,
}

/// A call that arrived. Calls to `/sim/…` are not recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When it arrived, in Unix milliseconds.
    pub at_ms: u64,
    /// What it was for.
    pub kind: CallKind,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, which a well-behaved client leaves empty.
    pub query: String,
    /// The guest that was made, or that was to be invalidated (whether or not it exists).
    pub guest_id: Option<String>,
    /// The status it was answered with; `None` while it is worked on, and when the connection was
    /// reset or left hanging. A cut body has a status: its head was sent.
    pub status: Option<u16>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// Whether its credentials held: the client's for a token, the access token for the rest.
    pub authorization_ok: bool,
    /// The `ININ-Correlation-Id` it was answered with.
    pub correlation_id: String,
    /// The faults it met, in order.
    pub faults: Vec<Effect>,
}

/// Names one call of the ledger; a call forgotten by a reset is no longer found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seq(u64);

/// Guests and calls since the last reset.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) guests: Vec<Guest>,
    pub(crate) calls: Vec<Call>,
    by_id: HashMap<String, usize>,
    forgotten: u64,
}

impl Ledger {
    /// Records a call that arrived.
    pub(crate) fn arrive(&mut self, call: Call) -> Seq {
        self.calls.push(call);
        Seq(self.forgotten + self.calls.len() as u64 - 1)
    }

    /// A recorded call, unless it was forgotten.
    pub(crate) fn call(&mut self, seq: Seq) -> Option<&mut Call> {
        let at = usize::try_from(seq.0.checked_sub(self.forgotten)?).ok()?;
        self.calls.get_mut(at)
    }

    /// Records a new guest.
    pub(crate) fn add(&mut self, guest: Guest) {
        self.by_id.insert(guest.id.clone(), self.guests.len());
        self.guests.push(guest);
    }

    /// Looks a guest up.
    pub(crate) fn guest(&mut self, id: &str) -> Option<&mut Guest> {
        let at = *self.by_id.get(id)?;
        self.guests.get_mut(at)
    }

    /// Forgets all guests and calls.
    pub(crate) fn reset(&mut self) {
        self.forgotten += self.calls.len() as u64;
        self.calls.clear();
        self.guests.clear();
        self.by_id.clear();
    }
}

//! What a simulator is started with, and the settings that can change while it runs.

use serde::{Deserialize, Serialize};

use crate::ledger::CallKind;

/// The scope an access token needs for the guests API.
pub(crate) const MANAGE_SCOPE: &str = "messaging:guest:manage";

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The one OAuth client there is; default `sim-client`.
    pub client_id: String,
    /// Its secret; default `sim-secret`.
    pub client_secret: String,
    /// Where the guests API lives; default `/api/v2/conversations/messaging/guests`.
    pub guests_path: String,
    /// How long an access token lives, in seconds; default a day.
    pub token_ttl_seconds: u64,
    /// How many API calls are let through; default no limit.
    pub rate_limit: Option<RateLimit>,
    /// The scopes the client may be given; `None`, the default, is all of them. A token holds those of
    /// them that were asked for, or all when none was asked for. Without `messaging:guest:manage` in
    /// it the guests API answers 403.
    pub granted_scopes: Option<Vec<String>>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            client_id: "sim-client".into(),
            client_secret: "sim-secret".into(),
            guests_path: "/api/v2/conversations/messaging/guests".into(),
            token_ttl_seconds: 86_400,
            rate_limit: None,
            granted_scopes: None,
        }
    }
}

/// At most so many API calls (OAuth is free) in a window, which opens with the first call after the
/// last one closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Calls let through in one window.
    pub calls: u32,
    /// Length of a window, in milliseconds.
    pub window_ms: u64,
}

/// Settings that can change while the simulator runs.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) token_ttl_seconds: u64,
    pub(crate) latency_ms: LatencyMs,
}

/// How long each kind of call takes before it is worked on, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LatencyMs {
    pub(crate) create: u64,
    pub(crate) invalidate: u64,
    pub(crate) token: u64,
}

impl LatencyMs {
    /// The latency of that kind of call.
    pub(crate) fn of(&self, kind: CallKind) -> u64 {
        match kind {
            CallKind::Token => self.token,
            CallKind::Create => self.create,
            CallKind::Invalidate => self.invalidate,
            CallKind::Other => 0,
        }
    }
}

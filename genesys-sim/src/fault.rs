//! Faults on request: what a rule says, and the queue that decides which rules a call meets.

use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::ledger::CallKind;

/// One rule: the calls it is for, how often, and what happens to them.
///
/// As JSON: `{"on":"create","times":2,"effect":{"status":{"code":503,"retryAfter":"1"}}}`; without
/// `times` it holds until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The calls it is for.
    pub on: On,
    /// How many calls it is for; `None` means until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

impl Fault {
    /// A rule for the next matching call.
    pub fn once(on: On, effect: Effect) -> Self {
        Self::times(on, 1, effect)
    }

    /// A rule for the next `times` matching calls.
    pub fn times(on: On, times: u32, effect: Effect) -> Self {
        Self { on, times: Some(times), effect }
    }

    /// A rule for all matching calls until [`crate::Sim::clear_faults`].
    pub fn always(on: On, effect: Effect) -> Self {
        Self { on, times: None, effect }
    }

    /// Refuses what could never be sent.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.times == Some(0) {
            return Err("`times` must be at least 1; leave it out for \"until cleared\"".into());
        }
        if let Effect::Status { code, retry_after, .. } = &self.effect {
            if !(200..=599).contains(code) {
                return Err(format!("`code` must be 200 to 599, not {code}"));
            }
            if let Some(text) = retry_after
                && HeaderValue::from_str(text).is_err()
            {
                return Err(format!("`retryAfter` {text:?} cannot stand in a header"));
            }
        }
        Ok(())
    }
}

/// The calls a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// Access tokens.
    Token,
    /// Creating guests.
    Create,
    /// Invalidating guests.
    Invalidate,
    /// Every API call: all but access tokens.
    Api,
    /// Every call.
    Any,
}

impl On {
    fn matches(self, kind: CallKind) -> bool {
        match self {
            Self::Token => kind == CallKind::Token,
            Self::Create => kind == CallKind::Create,
            Self::Invalidate => kind == CallKind::Invalidate,
            Self::Api => kind != CallKind::Token,
            Self::Any => true,
        }
    }
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// Waits so many milliseconds; then the rules after this one apply. The work is done even when
    /// the caller has gone meanwhile, as it would be at Genesys.
    Latency(u64),
    /// Answers with this status, without doing the work.
    Status {
        /// 200 to 599; anything else is sent as 500.
        code: u16,
        /// The raw `Retry-After`, however senseless; left out when no header can carry it.
        #[serde(default)]
        retry_after: Option<String>,
        /// The body; by default a proper Genesys error, or nothing for a success.
        #[serde(default)]
        body: Option<String>,
    },
    /// Resets the connection once the request is read, without doing the work.
    ResetBefore,
    /// Does the work, then resets the connection.
    ResetAfter,
    /// Never answers.
    Hang {
        /// Whether the work is done first.
        after_work: bool,
    },
    /// Does the work, then answers 200 with this text. A call that is refused keeps its refusal.
    MalformedBody(String),
    /// Does the work, then sends the whole head but half the body, and closes. Where there would be no
    /// body, it is taken for a 200 with `{}`.
    CutBody,
    /// Does the work, then answers without this field.
    DropField(String),
}

impl Effect {
    /// The status to send for a code asked for.
    pub(crate) fn status_of(code: u16) -> StatusCode {
        match StatusCode::from_u16(code) {
            Ok(status) if (200..=599).contains(&code) => status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The rules in force, in the order they were given.
#[derive(Default)]
pub(crate) struct FaultQueue {
    pub(crate) rules: Vec<Fault>,
}

/// What the rules say about one call.
#[derive(Default)]
pub(crate) struct Verdict {
    /// Every effect met, in order.
    pub(crate) met: Vec<Effect>,
    /// All latencies together, in milliseconds.
    pub(crate) latency_ms: u64,
    /// The effect that is no latency.
    pub(crate) effect: Option<Effect>,
}

impl FaultQueue {
    /// Walks the rules up to the first that is more than latency, and uses each up once.
    pub(crate) fn meet(&mut self, kind: CallKind) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.rules.iter_mut().filter(|rule| rule.on.matches(kind)) {
            if let Some(times) = &mut rule.times {
                let Some(left) = times.checked_sub(1) else {
                    continue;
                };
                *times = left;
            }
            verdict.met.push(rule.effect.clone());
            if let Effect::Latency(ms) = rule.effect {
                verdict.latency_ms = verdict.latency_ms.saturating_add(ms);
            } else {
                verdict.effect = Some(rule.effect.clone());
                break;
            }
        }
        if !verdict.met.is_empty() {
            self.rules.retain(|rule| rule.times != Some(0));
        }
        verdict
    }
}

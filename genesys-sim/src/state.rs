//! All that changes while a simulator runs, behind one lock that is never held across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue, header};

use crate::config::{LatencyMs, MANAGE_SCOPE, RateLimit, Settings, SimConfig};
use crate::errors::Refusal;
use crate::fault::FaultQueue;
use crate::ids::Ids;
use crate::ledger::Ledger;

/// What the handle, the accept loop and the connections share.
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) ids: Ids,
    stopped: AtomicBool,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(mut config: SimConfig) -> Self {
        config.guests_path = format!("/{}", config.guests_path.trim_matches('/'));
        let settings = Settings {
            rate_limit: config.rate_limit,
            token_ttl_seconds: config.token_ttl_seconds,
            latency_ms: LatencyMs::default(),
        };
        Self {
            config,
            ids: Ids::new(),
            stopped: AtomicBool::new(false),
            state: Mutex::new(State {
                ledger: Ledger::default(),
                faults: FaultQueue::default(),
                settings,
                window: Window::default(),
                access_tokens: HashMap::new(),
            }),
        }
    }

    /// A panic elsewhere must not hide the ledger from the test that looks into it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on no more work is done: whoever works holds the lock.
    pub(crate) fn stop(&self) {
        let _state = self.state();
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// See the module.
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) faults: FaultQueue,
    pub(crate) settings: Settings,
    window: Window,
    pub(crate) access_tokens: HashMap<String, AccessToken>,
}

/// What an access token is good for.
pub(crate) struct AccessToken {
    pub(crate) expires_at_ms: u64,
    pub(crate) may_manage: bool,
}

/// The window of the rate limit.
#[derive(Default)]
struct Window {
    ends_at_ms: u64,
    calls: u32,
}

impl State {
    /// The access token of a request, if it holds now.
    pub(crate) fn bearer(&self, headers: &HeaderMap, now_ms: u64) -> Option<&AccessToken> {
        let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        self.access_tokens
            .get(token.trim())
            .filter(|held| scheme.eq_ignore_ascii_case("bearer") && now_ms < held.expires_at_ms)
    }

    /// Lets an API call in: its token first, then the rate limit, then what the token may do.
    pub(crate) fn let_in(&mut self, headers: &HeaderMap, now_ms: u64) -> Result<(), Refusal> {
        let Some(token) = self.bearer(headers, now_ms) else {
            return Err(Refusal::bad_credentials());
        };
        let may_manage = token.may_manage;
        self.spend(now_ms)?;
        if !may_manage {
            return Err(Refusal::missing_scope(MANAGE_SCOPE));
        }
        Ok(())
    }

    /// Counts one API call against the limit.
    fn spend(&mut self, now_ms: u64) -> Result<(), Refusal> {
        let Some(limit) = self.settings.rate_limit else {
            return Ok(());
        };
        if now_ms >= self.window.ends_at_ms {
            self.window =
                Window { ends_at_ms: now_ms.saturating_add(limit.window_ms.max(1)), calls: 0 };
        }
        self.window.calls = self.window.calls.saturating_add(1);
        if self.window.calls > limit.calls {
            return Err(Refusal::too_many(self.window.seconds_left(now_ms)));
        }
        Ok(())
    }

    /// Tells the caller its budget, where there is a limit.
    pub(crate) fn tell_budget(&self, headers: &mut HeaderMap, now_ms: u64) {
        let Some(limit) = self.settings.rate_limit else {
            return;
        };
        let is_open = now_ms < self.window.ends_at_ms;
        let (calls, reset) = if is_open {
            (self.window.calls, self.window.seconds_left(now_ms))
        } else {
            (0, limit.window_ms.div_ceil(1000))
        };
        headers.insert("inin-ratelimit-count", HeaderValue::from(calls));
        headers.insert("inin-ratelimit-allowed", HeaderValue::from(limit.calls));
        headers.insert("inin-ratelimit-reset", HeaderValue::from(reset));
    }

    /// Sets or lifts the rate limit and opens a fresh window.
    pub(crate) fn set_rate_limit(&mut self, limit: Option<RateLimit>) {
        self.settings.rate_limit = limit;
        self.window = Window::default();
    }
}

impl Window {
    fn seconds_left(&self, now_ms: u64) -> u64 {
        self.ends_at_ms.saturating_sub(now_ms).div_ceil(1000).max(1)
    }
}

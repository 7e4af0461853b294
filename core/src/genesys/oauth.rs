//! The access token: cached until a little before it expires, fetched once however many ask for it.
//!
//! Waiters look again every few milliseconds instead of sharing a future: a Worker may not await what
//! another request began, and one implementation serves both hosts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use serde::{Deserialize, Serialize};

use super::answer::call;
use crate::config::Genesys;
use crate::seams::{CallFault, Clock, FaultKind, Host, HttpSend};
use crate::secret::Secret;
use crate::service::sha256;
use crate::time::UnixMillis;

/// How often waiters look whether the fetch has ended.
const LOOK_MS: u64 = 5;

/// A fetch that has not ended by now was abandoned by its host.
const ABANDONED_MS: u64 = 60_000;

/// How long after a failed renewal of a token that is still valid the next one is tried.
const RENEW_AGAIN_MS: u64 = 5000;

/// The least lifetime of tokens at Genesys, in seconds: what an answer without one is taken to mean.
const LEAST_LIFETIME_SECONDS: u64 = 300;

#[derive(Debug)]
pub(super) struct OAuth {
    url: String,
    credentials: HeaderValue,
    form: Bytes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// The token that a call was refused with last: another process may still share it.
    refused: Option<HeaderValue>,
    /// The number of the latest fetch.
    fetch: u64,
    /// When the latest fetch began, while it runs.
    running_since: Option<UnixMillis>,
    /// How the latest fetch failed, if it did.
    failure: Option<CallFault>,
    /// Until when the login host asked to be left alone.
    rest_until: UnixMillis,
}

impl State {
    /// Whether the latest fetch runs and was not abandoned by its host.
    fn is_fetching(&self, now: UnixMillis) -> bool {
        self.running_since.is_some_and(|since| now.since(since) < ABANDONED_MS)
    }
}

#[derive(Debug, Clone)]
struct Token {
    /// `Bearer …`, marked sensitive.
    header: HeaderValue,
    /// From here on it is renewed, by one caller, while others go on with it.
    fresh_until: UnixMillis,
    /// From here on it is not used.
    valid_until: UnixMillis,
}

/// A token on its way to another process.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shared {
    /// Whose token it is: hash of the login host and the client's credentials.
    owner: String,
    header: String,
    fresh_until: u64,
    valid_until: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

enum Turn {
    Ready,
    Wait(u64),
    /// Fetch under this number; whether the old token still serves.
    Fetch(u64, bool),
}

/// Marks a fetch as ended when it is abandoned, so that a waiter takes over.
struct Running<'a>(&'a OAuth, u64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.fetch == self.1 {
            state.running_since = None;
        }
    }
}

impl OAuth {
    pub(super) fn new(config: &Genesys) -> Self {
        let pair = format!("{}:{}", config.client_id.expose(), config.client_secret.expose());
        let mut credentials = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
            .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
        credentials.set_sensitive(true);
        let mut form = "grant_type=client_credentials".to_owned();
        if !config.scopes.is_empty() {
            form.push_str("&scope=");
            // The configuration allows only characters that a form may hold, and spaces.
            form.push_str(&config.scopes.replace(':', "%3A").replace(' ', "+"));
        }
        let url = format!("{}/oauth/token", config.login_url);
        Self { url, credentials, form: form.into(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header that authorizes a call, if a token is at hand.
    pub(super) fn header(&self, now: UnixMillis) -> Option<HeaderValue> {
        self.lock()
            .token
            .as_ref()
            .filter(|token| now < token.valid_until)
            .map(|token| token.header.clone())
    }

    /// Forgets the token that a call was refused with, unless it has been replaced meanwhile.
    pub(super) fn discard(&self, refused: &HeaderValue) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|token| token.header == *refused) {
            state.token = None;
        }
        state.refused = Some(refused.clone());
    }

    /// Whether the next call to [`Self::prepare`] would fetch.
    pub(super) fn wants_token(&self, now: UnixMillis) -> bool {
        let state = self.lock();
        !state.is_fetching(now) && state.token.as_ref().is_none_or(|token| now >= token.fresh_until)
    }

    /// The token at hand as text, and until when it is of use.
    pub(super) fn export(&self) -> Option<(Secret, UnixMillis)> {
        let token = self.lock().token.clone()?;
        let shared = Shared {
            owner: self.owner(),
            header: token.header.to_str().ok()?.to_owned(),
            fresh_until: token.fresh_until.get(),
            valid_until: token.valid_until.get(),
        };
        Some((Secret::new(serde_json::to_string(&shared).ok()?), token.fresh_until))
    }

    /// Takes over a token that another process exported, if it is this client's, fresh and not the one that
    /// was refused here.
    pub(super) fn import(&self, exported: &Secret, now: UnixMillis) -> bool {
        let Ok(shared) = serde_json::from_str::<Shared>(exported.expose()) else { return false };
        let Ok(mut header) = HeaderValue::from_str(&shared.header) else { return false };
        header.set_sensitive(true);
        let (fresh_until, valid_until) =
            (UnixMillis::new(shared.fresh_until), UnixMillis::new(shared.valid_until));
        let mut state = self.lock();
        let is_refused = state.refused.as_ref() == Some(&header);
        if shared.owner != self.owner() || now >= fresh_until || is_refused {
            return false;
        }
        state.token = Some(Token { header, fresh_until, valid_until });
        true
    }

    fn owner(&self) -> String {
        sha256(&format!("{} {}", self.url, self.credentials.to_str().unwrap_or("")))
    }

    /// Sees to it that a token is at hand; answers whether that took a wait.
    pub(super) async fn prepare<H: HttpSend, C: Clock>(
        &self,
        http: &H,
        clock: &C,
        budget: Duration,
    ) -> Result<bool, CallFault> {
        let ends = clock.now().plus(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX));
        let mut waited = false;
        loop {
            match self.turn(clock.now())? {
                Turn::Ready => return Ok(waited),
                Turn::Fetch(number, has_token) => {
                    let left = ends.since(clock.now());
                    // A login host that hangs must not use up the time of a call that could be made now.
                    let left = if has_token { left / 3 } else { left };
                    let left = Duration::from_millis(left);
                    return self.fetch(http, clock, number, left).await.map(|()| true);
                }
                Turn::Wait(number) => {
                    waited = true;
                    loop {
                        if clock.now() >= ends {
                            return Err(CallFault::new(Host::Login, FaultKind::TimedOut));
                        }
                        clock.sleep(Duration::from_millis(LOOK_MS)).await;
                        let state = self.lock();
                        if state.fetch == number && state.running_since.is_some() {
                            continue;
                        }
                        if let Some(failure) =
                            state.failure.as_ref().filter(|_| state.fetch == number)
                        {
                            return Err(failure.clone());
                        }
                        break;
                    }
                }
            }
        }
    }

    fn turn(&self, now: UnixMillis) -> Result<Turn, CallFault> {
        let mut state = self.lock();
        let running = state.is_fetching(now);
        if let Some(token) = &state.token
            && (now < token.fresh_until
                || (now < token.valid_until && (running || now < state.rest_until)))
        {
            return Ok(Turn::Ready);
        }
        if running {
            return Ok(Turn::Wait(state.fetch));
        }
        if now < state.rest_until {
            let mut fault = CallFault::new(Host::Login, FaultKind::Status(429));
            fault.retry_after_ms = Some(state.rest_until.since(now));
            return Err(fault);
        }
        state.fetch = state.fetch.wrapping_add(1);
        state.running_since = Some(now);
        state.failure = None;
        let has_token = state.token.as_ref().is_some_and(|token| now < token.valid_until);
        Ok(Turn::Fetch(state.fetch, has_token))
    }

    async fn fetch<H: HttpSend, C: Clock>(
        &self,
        http: &H,
        clock: &C,
        number: u64,
        budget: Duration,
    ) -> Result<(), CallFault> {
        let running = Running(self, number);
        let outcome = self.ask(http, clock, budget).await;
        let now = clock.now();
        let mut state = self.lock();
        let result = match outcome {
            Ok(token) => {
                state.token = Some(token);
                Ok(())
            }
            Err(fault) => {
                if let (FaultKind::Status(429), Some(rest)) = (&fault.kind, fault.retry_after_ms) {
                    state.rest_until = now.plus(rest);
                }
                if let Some(token) = state.token.as_mut().filter(|token| now < token.valid_until) {
                    token.fresh_until = now.plus(RENEW_AGAIN_MS).min(token.valid_until);
                    tracing::warn!(fault = %fault, "the access token could not be renewed yet");
                    Ok(())
                } else {
                    state.failure = Some(fault.clone());
                    Err(fault)
                }
            }
        };
        drop(state);
        drop(running);
        result
    }

    async fn ask<H: HttpSend, C: Clock>(
        &self,
        http: &H,
        clock: &C,
        budget: Duration,
    ) -> Result<Token, CallFault> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(AUTHORIZATION, self.credentials.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(USER_AGENT, super::USER_AGENT)
            .body(self.form.clone())
            .map_err(|_| CallFault::new(Host::Login, FaultKind::NotSent("not a URL".to_owned())))?;
        let response = call(http, clock, Host::Login, request, budget).await?;
        let answer: TokenAnswer = serde_json::from_slice(response.body())
            .map_err(|_| CallFault::unreadable(Host::Login, "a body that is no access token"))?;
        if answer.access_token.is_empty() {
            return Err(CallFault::unreadable(Host::Login, "an empty access token"));
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {}", answer.access_token))
            .map_err(|_| {
                CallFault::unreadable(Host::Login, "an access token that is no header value")
            })?;
        header.set_sensitive(true);
        let lifetime_ms = answer.expires_in.unwrap_or(LEAST_LIFETIME_SECONDS).saturating_mul(1000);
        // Renewed in the last tenth, a minute at most, at a random point of it; hosts then differ.
        let margin_ms = (lifetime_ms / 10).min(60_000);
        let [dice, ..] = clock.random();
        let jitter_ms = margin_ms.saturating_mul(u64::from(dice)) / 256 / 2;
        let now = clock.now();
        Ok(Token {
            header,
            fresh_until: now.plus(lifetime_ms.saturating_sub(margin_ms).saturating_sub(jitter_ms)),
            valid_until: now.plus(lifetime_ms.saturating_sub(margin_ms / 4)),
        })
    }
}

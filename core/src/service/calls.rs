//! Calls to the provider: timed, logged, held back while Genesys asks for rest, and repeated as
//! [`super::retry`] decides.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::App;
use super::retry::{GiveUp, Next};
use crate::names::GuestId;
use crate::seams::{
    CallFault, Clock, FaultKind, Guest, GuestProvider, Host, SessionStore, StoreFault,
};
use crate::time::UnixMillis;

/// Why no guest was created.
#[derive(Debug)]
pub(crate) enum CreateFailure {
    /// A call failed for good.
    Call(CallFault, GiveUp),
    /// Genesys is to be left alone for longer than the request may last; milliseconds.
    CoolDown(u64),
    /// Whether Genesys is to be left alone could not be learned.
    Store(StoreFault),
}

impl CreateFailure {
    /// The guest that was created all the same, if its id is known.
    pub(crate) const fn take_guest(&mut self) -> Option<GuestId> {
        match self {
            Self::Call(fault, _) => fault.guest.take(),
            Self::CoolDown(_) | Self::Store(_) => None,
        }
    }

    /// Whether a guest may have been created of which nothing is known.
    pub(crate) const fn may_have_created(&self) -> bool {
        match self {
            Self::Call(fault, _) => matches!(
                (fault.host, &fault.kind),
                (Host::Api, FaultKind::Unreadable(_) | FaultKind::Broken(_) | FaultKind::TimedOut)
            ),
            Self::CoolDown(_) | Self::Store(_) => false,
        }
    }
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// Where processes share the access token, makes ready to call before admission: that is then the last to
    /// be asked whether Genesys is to be left alone. `None` where [`Self::create`] is to make ready itself, and else
    /// what [`Self::prepare`] would answer it: that it took no wait, since admission comes after it.
    pub(crate) async fn prepare_early(
        &self,
        deadline: UnixMillis,
    ) -> Option<Result<bool, CallFault>> {
        let now = self.clock.now();
        if !self.rules.shares_token || !self.provider.wants_token(now) {
            return None;
        }
        match self.borrow_token().await {
            Ok(true) => None,
            Ok(false) => {
                Some(self.fetch_token(deadline.since(self.clock.now())).await.map(|_| false))
            }
            // Admission will say so.
            Err(_) => None,
        }
    }

    /// Creates a guest, with retries, until `deadline`.
    pub(crate) async fn create(
        &self,
        routing: Option<&str>,
        deadline: UnixMillis,
        mut prepared: Option<Result<bool, CallFault>>,
    ) -> Result<Guest, CreateFailure> {
        let left = || deadline.since(self.clock.now());
        let mut tries: u32 = 0;
        let mut renewed_token = false;
        let mut has_waited = false;
        loop {
            let ready = match prepared.take() {
                Some(outcome) => outcome,
                None => self.prepare(left()).await,
            };
            let fault = match ready {
                Ok(waited) => {
                    self.hold(deadline, has_waited || waited).await?;
                    match self.call_create(routing, left()).await {
                        Ok(guest) => return Ok(guest),
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            has_waited = true;
            if fault.host == Host::Api && fault.kind == FaultKind::Status(401) && !renewed_token {
                renewed_token = true;
                continue;
            }
            tries = tries.saturating_add(1);
            match self.rules.retry.next(tries, &fault, self.dice(), left()) {
                Next::RetryAfter(delay) => self.clock.sleep(Duration::from_millis(delay)).await,
                Next::GiveUp(why) => return Err(CreateFailure::Call(fault, why)),
            }
        }
    }

    /// Waits while Genesys is to be left alone, as long as that ends before `deadline`. What other hosts
    /// were told is asked of the store only `after_a_wait`: admission has just asked it otherwise.
    async fn hold(&self, deadline: UnixMillis, after_a_wait: bool) -> Result<(), CreateFailure> {
        let mut ask = after_a_wait;
        loop {
            if ask {
                let until =
                    self.store.cool_down(self.at(), None).await.map_err(CreateFailure::Store)?;
                self.note_cool_until(until);
            }
            let now = self.clock.now();
            let rest = self.known_cool_until().since(now);
            if rest == 0 {
                return Ok(());
            }
            let jitter =
                self.dice().checked_rem(self.rules.retry.jitter_ms.saturating_add(1)).unwrap_or(0);
            let wait = rest.saturating_add(jitter);
            if wait >= deadline.since(now) {
                return Err(CreateFailure::CoolDown(rest));
            }
            self.clock.sleep(Duration::from_millis(wait)).await;
            ask = true;
        }
    }

    /// Whether Genesys is to be left alone, by the store's word; also when the store is silent.
    pub(super) async fn is_cooling(&self) -> bool {
        match self.store.cool_down(self.at(), None).await {
            Ok(until) => {
                self.note_cool_until(until);
                self.known_cool_until() > self.clock.now()
            }
            Err(_) => true,
        }
    }

    /// Makes ready to call; answers whether that took a wait.
    pub(super) async fn prepare(&self, budget_ms: u64) -> Result<bool, CallFault> {
        let begun = self.clock.now();
        // A store that fails here is no obstacle: the token is fetched then.
        if self.rules.shares_token
            && self.provider.wants_token(begun)
            && matches!(self.borrow_token().await, Ok(true))
        {
            return Ok(false);
        }
        self.fetch_token(budget_ms.saturating_sub(self.clock.now().since(begun))).await
    }

    /// Has the provider make ready; answers whether that took a wait.
    async fn fetch_token(&self, budget_ms: u64) -> Result<bool, CallFault> {
        let begun = self.clock.now();
        let outcome = self.provider.prepare(Duration::from_millis(budget_ms)).await;
        match &outcome {
            Ok(false) => {}
            Ok(true) => {
                self.token_to_share.store(true, Ordering::Relaxed);
                self.instruments.call("token", "200", self.clock.now().since(begun));
            }
            Err(fault) => self.note_fault("token", fault, begun).await,
        }
        outcome
    }

    /// Takes over the access token that another process shares, if there is one.
    async fn borrow_token(&self) -> Result<bool, StoreFault> {
        let kept = self.store.token(None).await?;
        let token = kept.and_then(|sealed| self.rules.sealer.open_access_token(&sealed));
        Ok(token.is_some_and(|token| self.provider.import_token(&token, self.clock.now())))
    }

    /// Shares the access token if it was fetched since the last time.
    pub(super) async fn share_token(&self) {
        if !self.token_to_share.swap(false, Ordering::Relaxed) || !self.rules.shares_token {
            return;
        }
        let Some((token, until)) = self.provider.export_token() else { return };
        let Some(sealed) = self.rules.sealer.seal_access_token(&token, self.clock.random()) else {
            return;
        };
        let millis = until.since(self.clock.now());
        if millis > 0
            && let Err(fault) = self.store.token(Some((&sealed, millis))).await
        {
            tracing::warn!(error = %fault, "the access token is not shared");
        }
    }

    async fn call_create(&self, routing: Option<&str>, budget_ms: u64) -> Result<Guest, CallFault> {
        let begun = self.clock.now();
        let outcome = self.provider.create(routing, Duration::from_millis(budget_ms)).await;
        match &outcome {
            Ok(_) => self.instruments.call("create", "2xx", self.clock.now().since(begun)),
            Err(fault) => self.note_fault("create", fault, begun).await,
        }
        outcome
    }

    pub(super) async fn call_revoke(
        &self,
        guest: &GuestId,
        budget_ms: u64,
    ) -> Result<(), CallFault> {
        let begun = self.clock.now();
        let outcome = self.provider.revoke(guest, Duration::from_millis(budget_ms)).await;
        match &outcome {
            Ok(()) => self.instruments.call("revoke", "2xx", self.clock.now().since(begun)),
            Err(fault) => self.note_fault("revoke", fault, begun).await,
        }
        outcome
    }

    /// Counts and logs a fault, and tells every host when Genesys asks for rest.
    async fn note_fault(&self, call: &'static str, fault: &CallFault, begun: UnixMillis) {
        let took_ms = self.clock.now().since(begun);
        self.instruments.call(call, fault.label(), took_ms);
        tracing::warn!(
            call,
            took_ms,
            fault = %fault.kind_text(),
            retry_after_ms = fault.retry_after_ms,
            code = fault.context.code,
            context_id = fault.context.context_id,
            correlation_id = fault.context.correlation_id,
            "call to Genesys failed"
        );
        if let (Host::Api, FaultKind::Status(429), Some(rest)) =
            (fault.host, &fault.kind, fault.retry_after_ms)
        {
            let until = self.clock.now().plus(rest);
            self.note_cool_until(until);
            match self.store.cool_down(self.at(), Some(until)).await {
                Ok(until) => self.note_cool_until(until),
                Err(fault) => {
                    tracing::warn!(error = %fault, "other hosts could not be told to leave Genesys alone")
                }
            }
        }
    }
}

impl CallFault {
    /// A word for metrics: the status, or the kind of fault.
    fn label(&self) -> std::borrow::Cow<'static, str> {
        match self.kind {
            FaultKind::Status(status) => status.to_string().into(),
            FaultKind::Unreadable(_) => "unreadable".into(),
            FaultKind::NotSent(_) => "not_sent".into(),
            FaultKind::Broken(_) => "broken".into(),
            FaultKind::TimedOut => "timeout".into(),
        }
    }

    /// What happened, without Genesys' ids.
    pub(crate) fn kind_text(&self) -> String {
        match &self.kind {
            FaultKind::NotSent(why) | FaultKind::Broken(why) => {
                format!("{}: {why}", self.kind_told())
            }
            _ => self.kind_told(),
        }
    }

    /// The same in words that are every host's: why a connection failed, each says in its own.
    pub(crate) fn kind_told(&self) -> String {
        let host = match self.host {
            Host::Login => "the login host",
            Host::Api => "the API",
        };
        match &self.kind {
            FaultKind::Status(status) => format!("{host} answered {status}"),
            FaultKind::Unreadable(what) => format!("{host} answered 2xx with {what}"),
            FaultKind::NotSent(_) => format!("{host} could not be reached"),
            FaultKind::Broken(_) => format!("the connection to {host} broke"),
            FaultKind::TimedOut => format!("{host} did not answer in time"),
        }
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind_text())?;
        let ids = [
            ("code", &self.context.code),
            ("contextId", &self.context.context_id),
            ("correlationId", &self.context.correlation_id),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                write!(f, ", {name} {id}")?;
            }
        }
        Ok(())
    }
}

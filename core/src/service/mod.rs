//! The rules at work: [`App`] is what a host builds once and hands every request to. Each file here is
//! one job: issuing, calling Genesys, rescuing what a fault left behind, sweeping.

pub(crate) mod calls;
mod drain;
pub(crate) mod issue;
mod rescue;
pub mod retry;
pub mod seal;
mod shared_drain;
mod sweep;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::{Either, select};
use sha2::{Digest as _, Sha256};

pub use rescue::Rescue;
pub use sweep::{SweepBounds, SweepReport};

use crate::config::Config;
use crate::http::access::Access;
use crate::instruments::Instruments;
use crate::names::{ClaimId, DeviceKey, Fingerprint, FlightId, hex};
use crate::seams::{Clock, GuestProvider, SessionStore};
use crate::secret::Secret;
use crate::store::ops::{At, Limits};
use crate::time::UnixMillis;
use retry::RetryPolicy;
use seal::Sealer;
use shared_drain::SharedDrain;

/// guestpass: the rules over a store, a provider of guests and a clock.
#[derive(Debug)]
pub struct App<S, P, C> {
    pub(crate) store: S,
    pub(crate) provider: P,
    pub(crate) clock: C,
    pub(crate) rules: Rules,
    pub(crate) instruments: Instruments,
    /// What this process knows of the time until which Genesys is left alone, in Unix milliseconds. The
    /// store's word is read where a call has waited; this one holds back calls that have not.
    cool_until: AtomicU64,
    stopping: AtomicBool,
    shared_drain: SharedDrain,
    /// An access token was fetched that others may use.
    token_to_share: AtomicBool,
}

/// What of the configuration the rules need.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
    pub(crate) deadline_ms: u64,
    pub(crate) revoke_max_attempts: u32,
    pub(crate) access: Access,
    pub(crate) fingerprint_keys: Vec<Secret>,
    pub(crate) sealer: Sealer,
    /// Access tokens are shared through the store.
    pub(crate) shares_token: bool,
    /// How much `POST /v1/sweep` may do.
    pub(crate) sweep_on_demand: SweepBounds,
}

/// A request's answer, and what is left to do after it has been sent.
#[derive(Debug)]
#[must_use = "what is left to do must be handed to App::finish"]
pub struct Answer {
    /// The answer.
    pub response: http::Response<Bytes>,
    /// What to hand to [`App::finish`] once the answer is on its way.
    pub after: After,
}

/// What a request left to do after its answer.
#[derive(Debug, Default)]
#[must_use = "hand it to App::finish"]
pub struct After {
    /// Revocations were filed: a drain should follow soon.
    pub revocations_filed: bool,
    /// A create that could not be brought to an end in the store, if there is one.
    pub rescue: Option<Box<Rescue>>,
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// Puts the rules together. `instruments` is where latencies are counted.
    pub fn new(store: S, provider: P, clock: C, config: &Config, instruments: Instruments) -> Self {
        let rules = Rules {
            limits: config.limits.clone(),
            retry: config.retry,
            deadline_ms: config.request_deadline_ms,
            revoke_max_attempts: config.revoke_max_attempts,
            access: config.access.clone(),
            fingerprint_keys: config.fingerprint_keys.clone(),
            sealer: Sealer::new(&config.token_sealing_keys),
            shares_token: false,
            sweep_on_demand: SweepBounds {
                devices: 1000,
                revocations: 1000,
                concurrency: 16,
                time_ms: config.request_deadline_ms,
            },
        };
        Self {
            store,
            provider,
            clock,
            rules,
            instruments,
            cool_until: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            shared_drain: SharedDrain::default(),
            token_to_share: AtomicBool::new(false),
        }
    }

    /// Bounds `POST /v1/sweep` where the default is too much for the host.
    #[must_use]
    pub fn with_sweep_on_demand(mut self, bounds: SweepBounds) -> Self {
        self.rules.sweep_on_demand = bounds;
        self
    }

    /// Shares the access token with other processes through the store, where tokens are sealed. For hosts
    /// whose processes come and go.
    #[must_use]
    pub fn with_shared_token(mut self) -> Self {
        self.rules.shares_token = true;
        self
    }

    /// Answers one request. `client` is the address to which rate limits apply. The future must be run to
    /// its end even when the client goes away: an issue that it began is committed or revoked by it.
    ///
    /// A body longer than [`crate::http::MAX_BODY_BYTES`] may be handed in cut, as long as what is left is
    /// longer than that.
    pub fn handle(
        &self,
        request: http::Request<Bytes>,
        client: Option<IpAddr>,
    ) -> impl Future<Output = Answer> {
        crate::http::handle(self, request, client)
    }

    /// Does what a request left to do. Returns when it is done; while the store is down that may
    /// take as long, so a host that stops drops the future when its time is over.
    /// Filed revocations are drained here only when `drain` says so (a host with its own sweeper wakes that),
    /// and not when a drain under way takes them on.
    pub async fn finish(&self, after: After, drain: Option<&SweepBounds>) {
        if let Some(rescue) = after.rescue {
            self.rescue(*rescue).await;
        }
        self.share_token().await;
        if let Some(bounds) = drain.filter(|_| after.revocations_filed)
            && !self.shared_drain.leave(self.clock.now())
            && let Err(fault) = self.drain(bounds).await
        {
            tracing::warn!(error = %fault, "revocations are left for the next sweep");
        }
    }

    /// From now on no further revocations are claimed; those under way are finished and settled.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Looks at one device, which adopts it if it was found without an expiry.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn adopt(&self, device: &DeviceKey) -> Result<(), crate::seams::StoreFault> {
        self.store.list(self.at(), device).await.map(|_| ())
    }

    /// The store, for a host's own duties (scans, checks).
    pub const fn store(&self) -> &S {
        &self.store
    }

    pub(crate) fn at(&self) -> At<'_> {
        At { now: self.clock.now(), limits: &self.rules.limits }
    }

    pub(crate) fn device(&self, fingerprint: &Fingerprint) -> DeviceKey {
        DeviceKey::of(fingerprint, &self.rules.fingerprint_keys)
    }

    pub(crate) fn new_flight(&self) -> FlightId {
        FlightId::from_random(self.clock.random())
    }

    pub(crate) fn new_claim(&self) -> ClaimId {
        ClaimId::from_random(self.clock.random())
    }

    /// A random number for jitter.
    pub(crate) fn dice(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.clock.random();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    pub(crate) fn known_cool_until(&self) -> UnixMillis {
        UnixMillis::new(self.cool_until.load(Ordering::Relaxed))
    }

    pub(crate) fn note_cool_until(&self, until: UnixMillis) {
        self.cool_until.fetch_max(until.get(), Ordering::Relaxed);
    }
}

/// A future's output, or `None` when `millis` pass first.
pub(crate) async fn within<C: Clock, F: Future>(
    clock: &C,
    millis: u64,
    future: F,
) -> Option<F::Output> {
    let future = std::pin::pin!(future);
    let timer = std::pin::pin!(clock.sleep(std::time::Duration::from_millis(millis)));
    match select(future, timer).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

/// Hexadecimal SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

//! The store in memory: the same rules as the scripts, in plain Rust. It is their executable
//! specification, and serves development, a single process without Redis, and wasm tests. What it holds
//! lives as long as its process.

mod device;
mod gather;
mod outbox;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::state::State;
use crate::names::{ClaimId, DeviceKey, GuestId};
use crate::seams::{SessionStore, StoreFault};
use crate::store::ops::{
    Abort, Admission, Admit, At, Commit, Committed, Due, End, Ended, Expired, Job, Proof,
    Revocation, RevocationState, SessionInfo, Settled, Settlement, Stats,
};
use crate::time::UnixMillis;

/// Sessions in memory. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedStore {
    state: Arc<Mutex<State>>,
}

impl EmbeddedStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No operation awaits, so the lock is never held across an await. A panic under the lock (there is
    /// none to be had: indexing and unwrapping are denied) would leave a usable state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for EmbeddedStore {
    async fn admit(&self, at: At<'_>, admit: &Admit<'_>) -> Result<Admission, StoreFault> {
        Ok(self.lock().admit(at, admit))
    }

    async fn commit(&self, at: At<'_>, commit: &Commit<'_>) -> Result<Committed, StoreFault> {
        Ok(self.lock().commit(at, commit))
    }

    async fn abort(&self, at: At<'_>, abort: &Abort<'_>) -> Result<(), StoreFault> {
        self.lock().abort(at, abort);
        Ok(())
    }

    async fn renew(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        guest: &GuestId,
        proof: &Proof,
    ) -> Result<Option<UnixMillis>, StoreFault> {
        Ok(self.lock().renew(at, device, guest, proof))
    }

    async fn end(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        end: &End<'_>,
    ) -> Result<Ended, StoreFault> {
        Ok(self.lock().end(at, device, end))
    }

    async fn list(&self, at: At<'_>, device: &DeviceKey) -> Result<Vec<SessionInfo>, StoreFault> {
        Ok(self.lock().list(at, device))
    }

    async fn due(&self, at: At<'_>, limit: usize) -> Result<Due, StoreFault> {
        Ok(self.lock().due(at.now, limit))
    }

    async fn expire(&self, at: At<'_>, devices: &[DeviceKey]) -> Result<Expired, StoreFault> {
        Ok(self.lock().expire(at, devices))
    }

    async fn claim(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        limit: usize,
    ) -> Result<Vec<Job>, StoreFault> {
        let mut state = self.lock();
        if state.cool_until > at.now {
            return Ok(Vec::new());
        }
        Ok(state.outbox.claim(at.now, at.limits.lease_ms, claim, limit))
    }

    async fn settle(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        settlements: &[Settlement],
    ) -> Result<Settled, StoreFault> {
        Ok(self.lock().settle(at.now, claim, settlements))
    }

    async fn revocations(
        &self,
        _at: At<'_>,
        state: RevocationState,
        limit: usize,
    ) -> Result<Vec<Revocation>, StoreFault> {
        Ok(self.lock().outbox.list(state, limit))
    }

    async fn retry(&self, at: At<'_>, guest: &GuestId) -> Result<bool, StoreFault> {
        Ok(self.lock().outbox.retry(at.now, guest))
    }

    async fn abandon(&self, _at: At<'_>, guest: &GuestId) -> Result<bool, StoreFault> {
        Ok(self.lock().abandon(guest))
    }

    async fn cool_down(
        &self,
        at: At<'_>,
        until: Option<UnixMillis>,
    ) -> Result<UnixMillis, StoreFault> {
        let mut state = self.lock();
        if let Some(until) = until.filter(|until| *until > at.now) {
            state.cool_until = state.cool_until.max(until);
        }
        Ok(state.cool_until)
    }

    /// One process has nobody to share a token with.
    async fn token(&self, _keep: Option<(&str, u64)>) -> Result<Option<String>, StoreFault> {
        Ok(None)
    }

    async fn stats(&self, at: At<'_>) -> Result<Stats, StoreFault> {
        Ok(self.lock().stats(at.now))
    }
}

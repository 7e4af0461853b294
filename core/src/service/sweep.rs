//! Sweeping: what is due expires, and pending revocations are worked off.

use super::App;
use crate::seams::{Clock, GuestProvider, SessionStore, StoreFault};
use crate::store::ops::Settled;

/// How much one sweep may do.
#[derive(Debug, Clone, Copy)]
pub struct SweepBounds {
    /// Devices looked at, at most.
    pub devices: usize,
    /// Revocations tried, at most.
    pub revocations: usize,
    /// Revocations under way at once, at most.
    pub concurrency: usize,
    /// No more is begun after this many milliseconds.
    pub time_ms: u64,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct SweepReport {
    /// Sessions that expired.
    pub expired: u64,
    /// Revocations confirmed.
    pub revoked: u64,
    /// Revocations that failed and are to be tried again.
    pub retried: u64,
    /// Revocations that failed for the last time.
    pub stuck: u64,
}

/// Devices handled by one script call.
const DEVICES_A_CALL: usize = 100;

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// Expires what is due; answers how many sessions.
    ///
    /// # Errors
    /// The store's fault; what was done before it stays done.
    pub async fn expire(&self, bounds: &SweepBounds) -> Result<u64, StoreFault> {
        let begun = self.clock.now();
        let mut expired = 0;
        let mut left = bounds.devices;
        while left > 0 && self.clock.now().since(begun) < bounds.time_ms && !self.is_stopping() {
            let due = self.store.due(self.at(), left.min(DEVICES_A_CALL)).await?;
            if due.devices.is_empty() {
                break;
            }
            left = left.saturating_sub(due.devices.len());
            expired += self.store.expire(self.at(), &due.devices).await?.sessions;
        }
        Ok(expired)
    }

    /// Expires what is due, then drains; both within `bounds`.
    ///
    /// # Errors
    /// The store's fault; what was done before it stays done.
    pub async fn sweep(&self, bounds: &SweepBounds) -> Result<SweepReport, StoreFault> {
        let begun = self.clock.now();
        let expired = self.expire(bounds).await?;
        let time_ms = bounds.time_ms.saturating_sub(self.clock.now().since(begun));
        let settled = self.drain(&SweepBounds { time_ms, ..*bounds }).await?;
        self.share_token().await;
        let Settled { revoked, retried, stuck, .. } = settled;
        Ok(SweepReport { expired, revoked, retried, stuck })
    }
}

//! Sweeping: what is due expires, and pending revocations are worked off.

use std::sync::Arc;

use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};

use super::App;
use super::retry::revocation_delay_ms;
use crate::names::ClaimId;
use crate::seams::{CallFault, Clock, FaultKind, GuestProvider, Host, SessionStore, StoreFault};
use crate::store::ops::{Fate, Job, Settled, Settlement};
use crate::time::UnixMillis;

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

/// A step of a drain that has ended.
enum Progress {
    Called((Arc<ClaimId>, Settlement)),
    Settled(Result<Settled, StoreFault>),
}

/// A job that may be worked on until shortly before its lease ends.
struct Leased {
    job: Job,
    until: UnixMillis,
}

/// Why a claimed revocation was not tried.
enum Held {
    /// Genesys is to be left alone.
    Cooling,
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// Expires what is due, then drains; both within `bounds`.
    ///
    /// # Errors
    /// The store's fault; what was done before it stays done.
    pub async fn sweep(&self, bounds: &SweepBounds) -> Result<SweepReport, StoreFault> {
        let begun = self.clock.now();
        let mut report = SweepReport::default();
        let mut left = bounds.devices;
        while left > 0 && self.clock.now().since(begun) < bounds.time_ms && !self.is_stopping() {
            let due = self.store.due(self.at(), left.min(DEVICES_A_CALL)).await?;
            if due.devices.is_empty() {
                break;
            }
            left = left.saturating_sub(due.devices.len());
            report.expired += self.store.expire(self.at(), &due.devices).await?.sessions;
        }
        let time_ms = bounds.time_ms.saturating_sub(self.clock.now().since(begun));
        let settled = self.drain(&SweepBounds { time_ms, ..*bounds }).await?;
        report.revoked = settled.revoked;
        report.retried = settled.retried;
        report.stuck = settled.stuck;
        self.share_token().await;
        Ok(report)
    }

    /// Works off due revocations within `bounds`. No more are claimed than can be called at once, so that
    /// no claimed job waits while Genesys asks for rest.
    ///
    /// # Errors
    /// The store's fault; claims that could not be settled end with their lease.
    pub async fn drain(&self, bounds: &SweepBounds) -> Result<Settled, StoreFault> {
        let begun = self.clock.now();
        let concurrency = bounds.concurrency.max(1);
        // Claiming a handful at a time costs fewer round trips than one by one.
        let refill_at = concurrency.div_ceil(2);
        let mut left = bounds.revocations;
        let mut more = true;
        let mut total = Settled::default();
        let mut failed = None;
        let mut under_way = 0;
        let mut work = FuturesUnordered::new();
        loop {
            let room = left.min(concurrency.saturating_sub(under_way));
            let in_time = self.clock.now().since(begun) < bounds.time_ms;
            let may_claim = more && in_time && failed.is_none() && !self.is_stopping();
            if may_claim && room > 0 && room >= refill_at.min(left) {
                match self.claim(room).await {
                    Ok((claim, jobs)) => {
                        more = jobs.len() == room;
                        left = left.saturating_sub(jobs.len());
                        under_way = under_way.saturating_add(jobs.len());
                        work.extend(jobs.into_iter().map(|job| {
                            Either::Left(
                                self.revoke_claimed(claim.clone(), job).map(Progress::Called),
                            )
                        }));
                    }
                    Err(fault) => failed = Some(fault),
                }
                continue;
            }
            let Some(progress) = work.next().await else { break };
            let mut called = Vec::new();
            let ready = std::iter::from_fn(|| work.next().now_or_never().flatten());
            for progress in std::iter::once(progress).chain(ready) {
                match progress {
                    Progress::Called(settlement) => called.push(settlement),
                    Progress::Settled(Ok(settled)) => total.add(settled),
                    Progress::Settled(Err(fault)) => failed = Some(fault),
                }
            }
            under_way = under_way.saturating_sub(called.len());
            if !called.is_empty() {
                work.push(Either::Right(self.settle(called).map(Progress::Settled)));
            }
        }
        failed.map_or(Ok(total), Err)
    }

    /// Leases due jobs, and sees to it that they can be called: without jobs no access token is fetched, and
    /// without an access token the jobs are given back, to be tried at the next sweep.
    async fn claim(&self, limit: usize) -> Result<(Arc<ClaimId>, Vec<Leased>), StoreFault> {
        let claim = Arc::new(self.new_claim());
        // A call must end early enough for its settlement to find the lease unbroken.
        let lease_ms = self.rules.limits.lease_ms;
        let until = self.clock.now().plus(lease_ms.saturating_sub(lease_ms / 8));
        let jobs = self.store.claim(self.at(), &claim, limit).await?;
        if jobs.is_empty() {
            return Ok((claim, Vec::new()));
        }
        match self.prepare(self.rules.deadline_ms.min(lease_ms / 2)).await {
            Ok(false) => {}
            // Other hosts may have been told meanwhile to leave Genesys alone.
            Ok(true) => _ = self.is_cooling().await,
            // Genesys' word on us is one that every job should show to the operator.
            Err(fault) if matches!(fault.kind, FaultKind::Status(400..=403)) => {}
            Err(fault) => {
                tracing::warn!(fault = %fault, "revocations wait: no access token");
                let at = self.clock.now();
                let back = |job: Job| {
                    let fate = Fate::Released { at };
                    (claim.clone(), Settlement { guest: job.guest, shard: job.shard, fate })
                };
                self.settle(jobs.into_iter().map(back).collect()).await?;
                return Ok((claim, Vec::new()));
            }
        }
        Ok((claim, jobs.into_iter().map(|job| Leased { job, until }).collect()))
    }

    async fn revoke_claimed(
        &self,
        claim: Arc<ClaimId>,
        leased: Leased,
    ) -> (Arc<ClaimId>, Settlement) {
        let Leased { job, until } = leased;
        let budget = self.rules.deadline_ms.min(until.since(self.clock.now()));
        let fate = match self.revoke_once(&job, budget).await {
            Ok(Ok(())) => Fate::Revoked,
            Ok(Err(fault)) => self.fate_of(&job, &fault),
            Err(Held::Cooling) => Fate::Released { at: self.known_cool_until() },
        };
        (claim, Settlement { guest: job.guest, shard: job.shard, fate })
    }

    async fn revoke_once(&self, job: &Job, budget_ms: u64) -> Result<Result<(), CallFault>, Held> {
        if self.known_cool_until() > self.clock.now() {
            return Err(Held::Cooling);
        }
        let begun = self.clock.now();
        let outcome = self.call_revoke(&job.guest, budget_ms).await;
        let unauthorized =
            |fault: &CallFault| fault.host == Host::Api && fault.kind == FaultKind::Status(401);
        match outcome {
            Err(fault) if unauthorized(&fault) => {
                // The provider has discarded that token: once more with a new one.
                let left = budget_ms.saturating_sub(self.clock.now().since(begun));
                if let Err(fault) = self.prepare(left).await {
                    return Ok(Err(fault));
                }
                if self.is_cooling().await {
                    return Err(Held::Cooling);
                }
                let left = budget_ms.saturating_sub(self.clock.now().since(begun));
                Ok(self.call_revoke(&job.guest, left).await)
            }
            other => Ok(other),
        }
    }

    fn fate_of(&self, job: &Job, fault: &CallFault) -> Fate {
        let failures = job.attempts.saturating_add(1);
        let error = fault.to_string();
        tracing::warn!(guest_id = %job.guest, attempts = failures, fault = %error, "revocation failed");
        if failures >= self.rules.revoke_max_attempts {
            return Fate::Stuck { error };
        }
        let at = self.clock.now().plus(revocation_delay_ms(failures, self.dice()));
        Fate::Retry { at: at.max(self.known_cool_until()), error }
    }

    /// Settles calls that have ended; those of one claim in one go.
    async fn settle(
        &self,
        mut done: Vec<(Arc<ClaimId>, Settlement)>,
    ) -> Result<Settled, StoreFault> {
        let mut total = Settled::default();
        while let Some((claim, first)) = done.pop() {
            let (same, other): (Vec<_>, Vec<_>) = done.into_iter().partition(|(c, _)| *c == claim);
            done = other;
            let settlements: Vec<_> = std::iter::once(first)
                .chain(same.into_iter().map(|(_, settlement)| settlement))
                .collect();
            let settled = self.store.settle(self.at(), &claim, &settlements).await?;
            if settled.late > 0 {
                tracing::warn!(
                    late = settled.late,
                    "a claim had ended before its revocations were settled"
                );
            }
            total.add(settled);
        }
        Ok(total)
    }
}

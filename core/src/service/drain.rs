//! Draining: due revocations are claimed, called and settled, at once as many as the bounds allow.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use futures_util::stream::{self, FuturesUnordered, Stream};
use futures_util::{FutureExt as _, StreamExt as _};

use super::retry::revocation_delay_ms;
use super::{App, SweepBounds};
use crate::names::ClaimId;
use crate::seams::{CallFault, Clock, FaultKind, GuestProvider, Host, SessionStore, StoreFault};
use crate::store::ops::{Fate, Job, Settled, Settlement};
use crate::time::UnixMillis;

/// Calls under way at once in the beginning, and again after one that failed. Each confirmed one makes room for
/// one more, up to what the bounds allow.
const FIRST_WINDOW: usize = 32;

/// A job that may be worked on until shortly before its lease ends.
struct Leased {
    claim: Arc<ClaimId>,
    job: Job,
    until: UnixMillis,
}

/// A claimed revocation that was tried or held, to be settled.
type Ended = (Arc<ClaimId>, Settlement);

/// Why a claimed revocation was not tried.
enum Held {
    /// Genesys is to be left alone.
    Cooling,
}

/// A step that has ended.
enum Step {
    Claimed(Result<Vec<Leased>, StoreFault>),
    Called(Ended),
    Settled(Result<Settled, StoreFault>),
}

/// Where a drain stands: which steps are under way, and which may be begun. Claiming, calling and settling go on
/// beside each other, one claim and one settlement at a time.
struct Drain {
    /// Calls that may be under way at once now, and at most.
    window: usize,
    most: usize,
    /// Revocations that may still be claimed.
    left: usize,
    /// The last claim brought all that it asked for.
    more: bool,
    /// How often something was filed since the last claim began that this drain is to find.
    taken_on: usize,
    claiming: usize,
    calling: usize,
    /// What is to go into the next settlement.
    ended: Vec<Ended>,
    is_settling: bool,
    total: Settled,
    failed: Option<StoreFault>,
}

impl Drain {
    fn new(bounds: &SweepBounds) -> Self {
        let most = bounds.concurrency.max(1);
        Self {
            window: most.min(FIRST_WINDOW),
            most,
            left: bounds.revocations,
            more: true,
            taken_on: 0,
            claiming: 0,
            calling: 0,
            ended: Vec::new(),
            is_settling: false,
            total: Settled::default(),
            failed: None,
        }
    }

    /// How many to claim now. No more than can be called at once, so that no claimed job waits while Genesys
    /// asks for rest; and a handful, which costs fewer round trips than one by one.
    fn begin_claim(&mut self) -> Option<usize> {
        let room = self.left.min(self.window.saturating_sub(self.calling));
        let is_enough = room > 0 && room >= self.window.div_ceil(2).min(self.left);
        let may_find = self.more || self.taken_on > 0;
        let may_claim = may_find && self.claiming == 0 && self.failed.is_none();
        (may_claim && is_enough).then(|| {
            self.taken_on = 0;
            self.claiming = room;
            room
        })
    }

    /// For how many more requests the next claim suffices.
    fn room(&self) -> usize {
        let most = if self.failed.is_none() { self.left.min(self.window) } else { 0 };
        most.saturating_sub(self.taken_on)
    }

    /// What to settle now. What ends during a settlement goes into the next one.
    fn begin_settlement(&mut self) -> Option<Vec<Ended>> {
        (!self.is_settling && !self.ended.is_empty()).then(|| {
            self.is_settling = true;
            std::mem::take(&mut self.ended)
        })
    }

    /// Takes note of a step; answers the jobs to call now.
    fn note(&mut self, step: Step) -> Vec<Leased> {
        match step {
            Step::Claimed(claimed) => {
                let asked = std::mem::take(&mut self.claiming);
                let jobs = claimed.unwrap_or_else(|fault| {
                    self.failed = Some(fault);
                    Vec::new()
                });
                self.more = jobs.len() == asked;
                self.left = self.left.saturating_sub(jobs.len());
                self.calling = self.calling.saturating_add(jobs.len());
                return jobs;
            }
            Step::Called(ended) => {
                self.calling = self.calling.saturating_sub(1);
                self.window = match ended.1.fate {
                    Fate::Revoked => self.window.saturating_add(1).min(self.most),
                    _ => self.most.min(FIRST_WINDOW),
                };
                self.ended.push(ended);
            }
            Step::Settled(settled) => {
                self.is_settling = false;
                match settled {
                    Ok(settled) => self.total.add(settled),
                    Err(fault) => self.failed = Some(fault),
                }
            }
        }
        Vec::new()
    }
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// Works off due revocations within `bounds`.
    ///
    /// # Errors
    /// The store's fault; claims that could not be settled end with their lease.
    pub async fn drain(&self, bounds: &SweepBounds) -> Result<Settled, StoreFault> {
        self.drain_on(bounds, stream::pending()).await
    }

    /// Does the same, and claims again whenever `filed` says so: what is filed while a call takes long does not wait
    /// for that.
    ///
    /// # Errors
    /// The store's fault; claims that could not be settled end with their lease.
    pub async fn drain_on(
        &self,
        bounds: &SweepBounds,
        filed: impl Stream<Item = ()>,
    ) -> Result<Settled, StoreFault> {
        let end = self.clock.now().plus(bounds.time_ms);
        let mut drain = Drain::new(bounds);
        let mut steps = FuturesUnordered::new();
        let share = self.shared_drain.begin();
        let mut filed = pin!(filed.chain(stream::pending()));
        loop {
            let now = self.clock.now();
            let may_claim = !self.is_stopping() && now < end;
            drain.taken_on = drain.taken_on.saturating_add(share.taken_on());
            if let Some(limit) = may_claim.then(|| drain.begin_claim()).flatten() {
                let claim = self.claim(limit).map(Step::Claimed);
                steps.push(Either::Left(Either::Left(claim)));
            }
            if let Some(ended) = drain.begin_settlement() {
                let settlement = self.settle(ended).map(Step::Settled);
                steps.push(Either::Left(Either::Right(settlement)));
            }
            share.offer(now, end, drain.room());
            let step = match select(steps.next(), filed.next()).await {
                Either::Left((Some(step), _)) => step,
                Either::Left((None, _)) => break,
                Either::Right(_) => {
                    drain.taken_on = drain.taken_on.saturating_add(1);
                    continue;
                }
            };
            let ready = std::iter::from_fn(|| steps.next().now_or_never().flatten());
            let ended: Vec<_> = std::iter::once(step).chain(ready).collect();
            for job in ended.into_iter().flat_map(|step| drain.note(step)) {
                steps.push(Either::Right(self.revoke_claimed(job).map(Step::Called)));
            }
        }
        drain.failed.map_or(Ok(drain.total), Err)
    }

    /// Leases due jobs, and sees to it that they can be called: without jobs no access token is fetched, and
    /// without an access token the jobs are given back, to be tried at the next sweep.
    async fn claim(&self, limit: usize) -> Result<Vec<Leased>, StoreFault> {
        let claim = Arc::new(self.new_claim());
        // A call must end early enough for its settlement to find the lease unbroken.
        let lease_ms = self.rules.limits.lease_ms;
        let until = self.clock.now().plus(lease_ms.saturating_sub(lease_ms / 8));
        let jobs = self.store.claim(self.at(), &claim, limit).await?;
        if jobs.is_empty() {
            return Ok(Vec::new());
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
                return Ok(Vec::new());
            }
        }
        let leased = |job| Leased { claim: claim.clone(), job, until };
        Ok(jobs.into_iter().map(leased).collect())
    }

    async fn revoke_claimed(&self, leased: Leased) -> Ended {
        let Leased { claim, job, until } = leased;
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
    async fn settle(&self, mut ended: Vec<Ended>) -> Result<Settled, StoreFault> {
        let mut total = Settled::default();
        while let Some((claim, first)) = ended.pop() {
            let (same, other): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(c, _)| *c == claim);
            ended = other;
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

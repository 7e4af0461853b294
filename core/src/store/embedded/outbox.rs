//! The revocations: pending ones by their next attempt, stuck ones kept until an operator decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::names::{ClaimId, GuestId};
use crate::store::ops::{Fate, Job, Reason, Revocation, RevocationState, Settled, Settlement};
use crate::time::UnixMillis;

#[derive(Debug, Clone)]
struct Filed {
    reason: Reason,
    attempts: u32,
    enqueued_at: UnixMillis,
    next: UnixMillis,
    last_error: Option<String>,
    claim: Option<ClaimId>,
}

impl Filed {
    fn show(&self, guest: &GuestId, state: RevocationState) -> Revocation {
        Revocation {
            guest: guest.clone(),
            reason: Some(self.reason),
            state,
            attempts: self.attempts,
            enqueued_at: self.enqueued_at,
            next_attempt_at: (state == RevocationState::Pending).then_some(self.next),
            last_error: self.last_error.clone(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    jobs: HashMap<GuestId, Filed>,
    by_next: BTreeSet<(UnixMillis, GuestId)>,
    by_age: BTreeSet<(UnixMillis, GuestId)>,
    stuck: BTreeMap<GuestId, Filed>,
}

impl Outbox {
    /// Files a revocation, unless one is pending already.
    pub(super) fn file(&mut self, guest: &GuestId, reason: Reason, now: UnixMillis) {
        if !self.jobs.contains_key(guest) {
            let filed = Filed {
                reason,
                attempts: 0,
                enqueued_at: now,
                next: now,
                last_error: None,
                claim: None,
            };
            self.put(guest.clone(), filed);
        }
    }

    fn put(&mut self, guest: GuestId, filed: Filed) {
        self.by_next.insert((filed.next, guest.clone()));
        self.by_age.insert((filed.enqueued_at, guest.clone()));
        self.jobs.insert(guest, filed);
    }

    fn take(&mut self, guest: &GuestId) -> Option<Filed> {
        let filed = self.jobs.remove(guest)?;
        self.by_next.remove(&(filed.next, guest.clone()));
        self.by_age.remove(&(filed.enqueued_at, guest.clone()));
        Some(filed)
    }

    pub(super) fn is_pending(&self, guest: &GuestId) -> bool {
        self.jobs.contains_key(guest)
    }

    pub(super) fn claim(
        &mut self,
        now: UnixMillis,
        lease_ms: u64,
        claim: &ClaimId,
        limit: usize,
    ) -> Vec<Job> {
        let ends = now.plus(lease_ms);
        let job = |guest: &GuestId, filed: &Filed| Job {
            guest: guest.clone(),
            attempts: filed.attempts,
            shard: 0,
        };
        let at_end = self.by_next.iter().filter(|(next, _)| *next == ends).map(|(_, guest)| guest);
        let again: Vec<_> = at_end
            .filter_map(|guest| {
                let filed = self.jobs.get(guest)?;
                (filed.claim.as_ref() == Some(claim)).then(|| job(guest, filed))
            })
            .collect();
        if !again.is_empty() {
            return again;
        }
        let due: Vec<_> = self
            .by_next
            .iter()
            .take_while(|(next, _)| *next <= now)
            .take(limit)
            .map(|(_, guest)| guest.clone())
            .collect();
        due.into_iter()
            .filter_map(|guest| {
                let mut filed = self.take(&guest)?;
                filed.claim = Some(claim.clone());
                filed.next = ends;
                let job = job(&guest, &filed);
                self.put(guest, filed);
                Some(job)
            })
            .collect()
    }

    pub(super) fn settle(
        &mut self,
        now: UnixMillis,
        claim: &ClaimId,
        settlements: &[Settlement],
    ) -> Settled {
        let mut settled = Settled::default();
        for Settlement { guest, fate, .. } in settlements {
            let holds = |filed: &Filed| filed.claim.as_ref() == Some(claim) && filed.next > now;
            let taken =
                if self.jobs.get(guest).is_some_and(holds) { self.take(guest) } else { None };
            let Some(mut filed) = taken else {
                settled.late += 1;
                continue;
            };
            filed.claim = None;
            match fate {
                Fate::Revoked => settled.revoked += 1,
                Fate::Retry { at, error } => {
                    filed.attempts = filed.attempts.saturating_add(1);
                    filed.last_error = Some(error.clone());
                    filed.next = *at;
                    self.put(guest.clone(), filed);
                    settled.retried += 1;
                }
                Fate::Stuck { error } => {
                    filed.attempts = filed.attempts.saturating_add(1);
                    filed.last_error = Some(error.clone());
                    self.stuck.insert(guest.clone(), filed);
                    settled.stuck += 1;
                }
                Fate::Released { at } => {
                    filed.next = *at;
                    self.put(guest.clone(), filed);
                    settled.released += 1;
                }
            }
        }
        settled
    }

    pub(super) fn list(&self, state: RevocationState, limit: usize) -> Vec<Revocation> {
        let mut all: Vec<_> = match state {
            RevocationState::Pending => self
                .by_next
                .iter()
                .take(limit)
                .filter_map(|(_, guest)| self.jobs.get(guest).map(|filed| filed.show(guest, state)))
                .collect(),
            RevocationState::Stuck => {
                self.stuck.iter().map(|(guest, filed)| filed.show(guest, state)).collect()
            }
        };
        Revocation::sort(&mut all);
        all.truncate(limit);
        all
    }

    pub(super) fn retry(&mut self, now: UnixMillis, guest: &GuestId) -> bool {
        let stuck = self.stuck.remove(guest);
        let pending = self.take(guest);
        let Some(mut filed) = stuck.or(pending) else { return false };
        filed.attempts = 0;
        filed.claim = None;
        filed.next = now;
        self.put(guest.clone(), filed);
        true
    }

    pub(super) fn abandon(&mut self, guest: &GuestId) -> bool {
        let pending = self.take(guest).is_some();
        self.stuck.remove(guest).is_some() || pending
    }

    pub(super) fn pending(&self) -> u64 {
        self.jobs.len() as u64
    }

    pub(super) fn stuck(&self) -> u64 {
        self.stuck.len() as u64
    }

    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.by_age.first().map(|(at, _)| *at)
    }
}

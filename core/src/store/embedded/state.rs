//! The operations on the whole state. Each reads like the script of the same name.

use std::collections::{BTreeSet, HashMap};

use super::device::{Device, Rate, Record, Session};
use super::outbox::Outbox;
use crate::names::{ClaimId, DeviceKey, FlightId, GuestId};
use crate::store::ops::{
    Abort, AbortOutcome, Admission, Admit, At, Commit, Committed, Counter, Due, End, Ended,
    Expired, IDEMPOTENCY_MS, Issued, Limits, Proof, Reason, SessionInfo, Settled, Settlement,
    Stats,
};
use crate::time::UnixMillis;

/// How far the clock of one host may be behind another's: for so long, what no longer matters is kept.
const SKEW_MS: u64 = 3_600_000;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) devices: HashMap<DeviceKey, Device>,
    pub(super) due: BTreeSet<(UnixMillis, DeviceKey)>,
    flights: BTreeSet<(UnixMillis, FlightId)>,
    deadlines: HashMap<FlightId, UnixMillis>,
    address_rates: HashMap<String, Rate>,
    /// Devices that may have become empty, by when to look at them.
    pub(super) idle: BTreeSet<(UnixMillis, DeviceKey)>,
    pub(super) outbox: Outbox,
    pub(super) cool_until: UnixMillis,
    pub(super) totals: Stats,
}

impl State {
    pub(super) fn admit(&mut self, at: At<'_>, admit: &Admit<'_>) -> Admission {
        self.gather(at, admit.device, admit.idempotency);
        let admission = self.decide_admission(at, admit);
        self.forget_if_empty(admit.device, at.now);
        admission
    }

    fn decide_admission(&mut self, at: At<'_>, admit: &Admit<'_>) -> Admission {
        let At { now, limits } = at;
        let device = self.devices.entry(admit.device.clone()).or_default();
        if let Some(key) = admit.idempotency
            && let Some(record) = device.records.get(&key.key_hash)
            && record.until > now
            && record.flight != *admit.flight
        {
            if record.body_hash != key.body_hash {
                return Admission::Mismatch;
            }
            match &record.answer {
                None => return Admission::InFlight,
                Some(answer) if !key.overwrite => {
                    self.totals.bump(Counter::Replayed, 1);
                    return Admission::Replay(answer.clone());
                }
                Some(_) => {}
            }
        }
        let admitted = device.has_flight(admit.flight, now);
        if self.cool_until > now && !admitted {
            return Admission::CoolDown(self.cool_until);
        }
        let limited_address = admit.address_hash.filter(|_| limits.rate_per_ip > 0);
        let address_rate = limited_address
            .and_then(|hash| self.address_rates.get(hash))
            .copied()
            .unwrap_or_default();
        let reached = [
            (limits.rate_per_device > 0).then(|| device.rate.reached(limits.rate_per_device, now)),
            limited_address.map(|_| address_rate.reached(limits.rate_per_ip, now)),
        ];
        if let Some(ends) = reached.into_iter().flatten().flatten().next().filter(|_| !admitted) {
            self.totals.bump(Counter::RateLimited, 1);
            return Admission::RateLimited(ends);
        }
        let in_flight = device.flights.iter().filter(|(deadline, _)| *deadline > now).count();
        if in_flight >= limits.cap as usize && !admitted {
            self.totals.bump(Counter::Busy, 1);
            return Admission::Busy;
        }
        if !admitted {
            let deadline = now.plus(limits.flight_ms);
            device.flights.retain(|(deadline, flight)| *deadline > now && flight != admit.flight);
            device.flights.push((deadline, admit.flight.clone()));
            if let Some(ran_out) = self.deadlines.insert(admit.flight.clone(), deadline) {
                self.flights.remove(&(ran_out, admit.flight.clone()));
            }
            self.flights.insert((deadline, admit.flight.clone()));
            if limits.rate_per_device > 0 {
                device.rate.count(now);
            }
            if let Some(hash) = limited_address {
                self.address_rates.entry(hash.to_owned()).or_default().count(now);
            }
            if let Some(key) = admit.idempotency {
                let record = Record {
                    flight: admit.flight.clone(),
                    body_hash: key.body_hash.clone(),
                    until: deadline,
                    answer: None,
                };
                device.records.insert(key.key_hash.clone(), record);
            }
            watch(&mut self.idle, admit.device, device, deadline.plus(IDEMPOTENCY_MS));
        }
        Admission::Granted
    }

    pub(super) fn commit(&mut self, at: At<'_>, commit: &Commit<'_>) -> Committed {
        let At { now, limits } = at;
        self.gather(at, commit.device, commit.idempotency);
        let device = self.devices.entry(commit.device.clone()).or_default();
        device.land(commit.flight);
        if let Some(deadline) = self.deadlines.remove(commit.flight) {
            self.flights.remove(&(deadline, commit.flight.clone()));
        }
        if let Some(session) = device.sessions.iter().find(|session| session.guest == *commit.guest)
        {
            return Committed {
                created_at: session.created_at,
                expires_at: session.expires_at(device.expiry, limits),
                evicted: session.evicted,
                expired: 0,
                set_aside: 0,
            };
        }
        if self.outbox.is_pending(commit.guest) {
            let max_age = if limits.max_age_ms > 0 { limits.max_age_ms } else { u64::MAX };
            let expires_at = now.plus(limits.ttl_ms.min(max_age));
            return Committed { created_at: now, expires_at, evicted: 0, expired: 0, set_aside: 0 };
        }

        let newest = device.sessions.last().map(|session| session.created_at.plus(1));
        let created_at = newest.map_or(now, |next| next.max(now));
        let expired = device.take_expired(now, limits);
        for session in &expired {
            self.outbox.file(&session.guest, Reason::Expired, now);
        }
        let surplus = (device.sessions.len() + 1).saturating_sub(limits.cap as usize);
        for session in device.sessions.drain(..surplus) {
            self.outbox.file(&session.guest, Reason::Evicted, now);
        }
        let evicted = u32::try_from(surplus).unwrap_or(u32::MAX);
        let session = Session {
            guest: commit.guest.clone(),
            created_at,
            token: commit.token.clone(),
            evicted,
        };
        device.expiry = now.plus(limits.ttl_ms);
        let expires_at = session.expires_at(device.expiry, limits);
        // Most devices have as many sessions as they may, and keep them for long.
        device.sessions.reserve_exact(1);
        device.sessions.push(session);

        if let Some(key) = commit.idempotency {
            let free = device
                .records
                .get(&key.key_hash)
                .is_none_or(|record| record.flight == *commit.flight || record.until <= now);
            if free {
                let answer = Issued {
                    guest: commit.guest.clone(),
                    token: commit.token.clone(),
                    created_at,
                    expires_at,
                    evicted,
                };
                let record = Record {
                    flight: commit.flight.clone(),
                    body_hash: key.body_hash.clone(),
                    until: now.plus(IDEMPOTENCY_MS),
                    answer: Some(answer),
                };
                device.records.insert(key.key_hash.clone(), record);
            }
        }
        reschedule(&mut self.due, commit.device, device, limits);
        self.totals.bump(Counter::Issued, 1);
        self.totals.bump(Counter::Evicted, evicted.into());
        self.totals.bump(Counter::Expired, expired.len() as u64);
        let expired = u32::try_from(expired.len()).unwrap_or(u32::MAX);
        Committed { created_at, expires_at, evicted, expired, set_aside: 0 }
    }

    pub(super) fn abort(&mut self, at: At<'_>, abort: &Abort<'_>) {
        self.gather(at, abort.device, abort.idempotency);
        let deadline = self.deadlines.remove(abort.flight);
        if let Some(deadline) = deadline {
            self.flights.remove(&(deadline, abort.flight.clone()));
        }
        let device = self.devices.entry(abort.device.clone()).or_default();
        device.land(abort.flight);
        if let Some(key) = abort.idempotency
            && device
                .records
                .get(&key.key_hash)
                .is_some_and(|record| record.flight == *abort.flight)
        {
            device.records.remove(&key.key_hash);
        }
        if let AbortOutcome::CommitFailed(guest) | AbortOutcome::Withdrawn(guest) = abort.outcome {
            device.sessions.retain(|session| session.guest != *guest);
            if device.sessions.is_empty() {
                reschedule(&mut self.due, abort.device, device, at.limits);
            }
        }
        match abort.outcome {
            AbortOutcome::Orphaned if deadline.is_some() => self.totals.bump(Counter::Orphaned, 1),
            AbortOutcome::CommitFailed(guest) => {
                self.outbox.file(guest, Reason::CommitFailed, at.now)
            }
            AbortOutcome::Withdrawn(_) if deadline.is_some() => {
                self.totals.bump(Counter::Revoked, 1)
            }
            _ => {}
        }
        self.forget_if_empty(abort.device, at.now);
    }

    pub(super) fn renew(
        &mut self,
        at: At<'_>,
        key: &DeviceKey,
        guest: &GuestId,
        proof: &Proof,
    ) -> Option<UnixMillis> {
        self.gather(at, key, None);
        let device = self.devices.get_mut(key)?;
        let session = device.sessions.iter().find(|session| {
            session.guest == *guest
                && !session.is_expired(device.expiry, at.now, at.limits)
                && session.is_held_by(proof)
        })?;
        let expiry = at.now.plus(at.limits.ttl_ms);
        let expires_at = session.expires_at(expiry, at.limits);
        device.expiry = expiry;
        reschedule(&mut self.due, key, device, at.limits);
        Some(expires_at)
    }

    pub(super) fn end(&mut self, at: At<'_>, key: &DeviceKey, end: &End<'_>) -> Ended {
        self.gather(at, key, None);
        let Some(device) = self.devices.get_mut(key) else { return Ended::default() };
        let expired = device.take_expired(at.now, at.limits);
        let chosen = |session: &mut Session| match end {
            End::All => true,
            End::One(guest) => session.guest == **guest,
            End::Own(guest, proof) => session.guest == **guest && session.is_held_by(proof),
        };
        let ended: Vec<_> = device.sessions.extract_if(.., chosen).collect();
        for (sessions, reason) in [(&expired, Reason::Expired), (&ended, Reason::Ended)] {
            for session in sessions {
                self.outbox.file(&session.guest, reason, at.now);
            }
        }
        if !(expired.is_empty() && ended.is_empty()) {
            reschedule(&mut self.due, key, device, at.limits);
        }
        self.totals.bump(Counter::Ended, ended.len() as u64);
        self.totals.bump(Counter::Expired, expired.len() as u64);
        Ended {
            ended: u32::try_from(ended.len()).unwrap_or(u32::MAX),
            expired: u32::try_from(expired.len()).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn list(&mut self, at: At<'_>, key: &DeviceKey) -> Vec<SessionInfo> {
        self.gather(at, key, None);
        let Some(device) = self.devices.get(key) else { return Vec::new() };
        device
            .sessions
            .iter()
            .filter(|session| !session.is_expired(device.expiry, at.now, at.limits))
            .map(|session| SessionInfo {
                guest: session.guest.clone(),
                created_at: session.created_at,
                expires_at: session.expires_at(device.expiry, at.limits),
            })
            .collect()
    }

    pub(super) fn due(&mut self, now: UnixMillis, limit: usize) -> Due {
        let mut orphaned = 0;
        while let Some((_, flight)) = self.flights.first().filter(|(deadline, _)| *deadline <= now)
        {
            self.deadlines.remove(flight);
            self.flights.pop_first();
            orphaned += 1;
        }
        self.totals.bump(Counter::Orphaned, orphaned);
        self.forget_idle(now);
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(limit);
        Due { devices: due.map(|(_, device)| device.clone()).collect(), orphaned, set_aside: 0 }
    }

    fn forget_if_empty(&mut self, key: &DeviceKey, now: UnixMillis) {
        let before = UnixMillis::new(now.get().saturating_sub(SKEW_MS));
        if self.devices.get(key).is_some_and(|device| device.is_empty(before)) {
            self.devices.remove(key);
        }
    }

    /// What Redis does by physical TTLs: forgets flights, records and rates that no longer matter.
    fn forget_idle(&mut self, now: UnixMillis) {
        let before = UnixMillis::new(now.get().saturating_sub(SKEW_MS));
        let mut later = Vec::new();
        while let Some((_, key)) = self.idle.first().filter(|(at, _)| *at <= before) {
            if let Some(device) = self.devices.get_mut(key) {
                device.idle = None;
                device.flights.retain(|(deadline, _)| *deadline > before);
                device.records.retain(|_, record| record.until > before);
                if device.is_empty(before) {
                    self.devices.remove(key);
                } else if device.sessions.is_empty() {
                    let at = now.plus(IDEMPOTENCY_MS);
                    device.idle = Some(at);
                    later.push((at, key.clone()));
                }
            }
            self.idle.pop_first();
        }
        self.idle.extend(later);
        self.address_rates.retain(|_, rate| !rate.is_over(before));
    }

    pub(super) fn expire(&mut self, at: At<'_>, devices: &[DeviceKey]) -> Expired {
        let mut sessions = 0;
        for key in devices {
            let Some(device) = self.devices.get_mut(key) else { continue };
            for session in device.take_expired(at.now, at.limits) {
                self.outbox.file(&session.guest, Reason::Expired, at.now);
                sessions += 1;
            }
            reschedule(&mut self.due, key, device, at.limits);
            self.forget_if_empty(key, at.now);
        }
        self.totals.bump(Counter::Expired, sessions);
        Expired { sessions, set_aside: 0 }
    }

    pub(super) fn settle(
        &mut self,
        now: UnixMillis,
        claim: &ClaimId,
        settlements: &[Settlement],
    ) -> Settled {
        let settled = self.outbox.settle(now, claim, settlements);
        self.totals.bump(Counter::Revoked, settled.revoked);
        self.totals.bump(Counter::RevokeFailed, settled.retried + settled.stuck);
        self.totals.bump(Counter::Stuck, settled.stuck);
        settled
    }

    pub(super) fn abandon(&mut self, guest: &GuestId) -> bool {
        let found = self.outbox.abandon(guest);
        self.totals.bump(Counter::Abandoned, found.into());
        found
    }

    pub(super) fn stats(&self, now: UnixMillis) -> Stats {
        Stats {
            devices: self.due.len() as u64,
            in_flight: self.flights.iter().rev().take_while(|(deadline, _)| *deadline > now).count()
                as u64,
            pending_revocations: self.outbox.pending(),
            stuck_revocations: self.outbox.stuck(),
            oldest_pending: self.outbox.oldest(),
            cool_until: self.cool_until,
            ..self.totals.clone()
        }
    }
}

/// Has a device looked at once it may have become empty.
pub(super) fn watch(
    idle: &mut BTreeSet<(UnixMillis, DeviceKey)>,
    key: &DeviceKey,
    device: &mut Device,
    at: UnixMillis,
) {
    if let Some(earlier) = device.idle.replace(at) {
        idle.remove(&(earlier, key.clone()));
    }
    idle.insert((at, key.clone()));
}

/// Puts a device where it belongs among the due ones, or nowhere when it has no sessions.
pub(super) fn reschedule(
    due: &mut BTreeSet<(UnixMillis, DeviceKey)>,
    key: &DeviceKey,
    device: &mut Device,
    limits: &Limits,
) {
    let next = device.next_expiry(limits);
    if next == device.due {
        return;
    }
    if let Some(old) = device.due {
        due.remove(&(old, key.clone()));
    }
    if let Some(new) = next {
        due.insert((new, key.clone()));
    }
    device.due = next;
}

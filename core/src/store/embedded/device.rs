//! One device: its sessions, creates in flight, rate and idempotency records, and the questions that
//! have an answer without looking elsewhere.

use std::collections::HashMap;

use crate::names::{FlightId, GuestId};
use crate::store::ops::{Issued, Limits, Proof, RATE_WINDOW_MS, StoredToken};
use crate::time::UnixMillis;

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) guest: GuestId,
    pub(super) created_at: UnixMillis,
    pub(super) token: StoredToken,
    pub(super) evicted: u32,
}

impl Session {
    pub(super) fn is_expired(&self, expiry: UnixMillis, now: UnixMillis, limits: &Limits) -> bool {
        expiry <= now || self.is_too_old(now, limits)
    }

    fn is_too_old(&self, now: UnixMillis, limits: &Limits) -> bool {
        limits.max_age_ms > 0 && self.created_at.plus(limits.max_age_ms) <= now
    }

    pub(super) fn expires_at(&self, expiry: UnixMillis, limits: &Limits) -> UnixMillis {
        if limits.max_age_ms > 0 {
            expiry.min(self.created_at.plus(limits.max_age_ms))
        } else {
            expiry
        }
    }

    pub(super) fn is_held_by(&self, proof: &Proof) -> bool {
        match &self.token.sha256 {
            Some(sha256) => crate::secret::Secret::new(sha256.clone()).matches(&proof.sha256),
            None => self.token.text.matches(proof.token.expose()),
        }
    }
}

/// What an idempotency key is bound to.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) flight: FlightId,
    pub(super) body_hash: String,
    pub(super) until: UnixMillis,
    pub(super) answer: Option<Issued>,
}

/// A fixed window of a minute. A caller whose clock is behind counts in the window it finds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    window: u64,
    count: u32,
}

impl Rate {
    fn in_force(self, now: UnixMillis) -> Self {
        let window = now.get() / RATE_WINDOW_MS;
        if self.window >= window { self } else { Self { window, count: 0 } }
    }

    /// When the window ends, if `limit` is reached in it.
    pub(super) fn reached(self, limit: u32, now: UnixMillis) -> Option<UnixMillis> {
        let rate = self.in_force(now);
        (rate.count >= limit)
            .then(|| UnixMillis::new(rate.window.saturating_add(1).saturating_mul(RATE_WINDOW_MS)))
    }

    /// The later window; the issues of both where it is the same one.
    pub(super) fn and(self, other: Self) -> Self {
        match self.window.cmp(&other.window) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                Self { window: self.window, count: self.count.saturating_add(other.count) }
            }
        }
    }

    pub(super) fn count(&mut self, now: UnixMillis) {
        *self = self.in_force(now);
        self.count = self.count.saturating_add(1);
    }

    pub(super) fn is_over(self, now: UnixMillis) -> bool {
        self.window < now.get() / RATE_WINDOW_MS
    }
}

#[derive(Debug, Default)]
pub(super) struct Device {
    /// Oldest first.
    pub(super) sessions: Vec<Session>,
    /// When all sessions expire; meaningful while there are any.
    pub(super) expiry: UnixMillis,
    /// The entry in the set of due devices.
    pub(super) due: Option<UnixMillis>,
    /// The entry in the set of devices that may have become empty.
    pub(super) idle: Option<UnixMillis>,
    pub(super) flights: Vec<(UnixMillis, FlightId)>,
    pub(super) rate: Rate,
    pub(super) records: HashMap<String, Record>,
}

impl Device {
    /// The next moment at which something expires.
    pub(super) fn next_expiry(&self, limits: &Limits) -> Option<UnixMillis> {
        self.sessions.first().map(|oldest| oldest.expires_at(self.expiry, limits))
    }

    /// Whether a flight has its place still.
    pub(super) fn has_flight(&self, flight: &FlightId, now: UnixMillis) -> bool {
        self.flights.iter().any(|(deadline, id)| id == flight && *deadline > now)
    }

    /// Ends a flight.
    pub(super) fn land(&mut self, flight: &FlightId) {
        self.flights.retain(|(_, id)| id != flight);
        if self.flights.is_empty() {
            // Room for flights is a large part of what a device takes while it has none.
            self.flights = Vec::new();
        }
    }

    /// Takes out the sessions that have expired.
    pub(super) fn take_expired(&mut self, now: UnixMillis, limits: &Limits) -> Vec<Session> {
        let expiry = self.expiry;
        self.sessions.extract_if(.., |session| session.is_expired(expiry, now, limits)).collect()
    }

    /// Whether nothing of it is worth keeping at `now`.
    pub(super) fn is_empty(&self, now: UnixMillis) -> bool {
        self.sessions.is_empty()
            && self.flights.is_empty()
            && self.rate.is_over(now)
            && self.records.values().all(|record| record.until <= now)
    }
}

//! Bringing what is stored under a device's older names under its name, as the scripts' `gather` does.

use super::device::Device;
use super::state::{State, reschedule, watch};
use crate::names::DeviceKey;
use crate::store::ops::{At, Counter, IDEMPOTENCY_MS, Idempotency, Reason};

impl State {
    /// Makes one device of all that a device's names hold.
    pub(super) fn gather(
        &mut self,
        at: At<'_>,
        key: &DeviceKey,
        idempotency: Option<&Idempotency>,
    ) {
        for name in key.older() {
            let Ok(older) = DeviceKey::from_stored(name) else { continue };
            let Some(mut from) = self.devices.remove(&older) else { continue };
            if let Some(due) = from.due.take() {
                self.due.remove(&(due, older.clone()));
            }
            let mut to = self.devices.remove(key).unwrap_or_default();
            self.gather_sessions(at, &mut from, &mut to);
            to.flights.append(&mut from.flights);
            to.rate = to.rate.and(std::mem::take(&mut from.rate));
            if let Some(asked) = idempotency
                && !to.records.contains_key(&asked.key_hash)
                && let Some(record) = from.records.remove(&asked.key_hash)
            {
                to.records.insert(asked.key_hash.clone(), record);
            }
            reschedule(&mut self.due, key, &mut to, at.limits);
            let look_at = at.now.plus(at.limits.flight_ms + IDEMPOTENCY_MS);
            watch(&mut self.idle, key, &mut to, look_at);
            self.devices.insert(key.clone(), to);
            // Records that nobody asked for yet stay where they are.
            if !from.records.is_empty() {
                self.devices.insert(older, from);
            }
        }
    }

    fn gather_sessions(&mut self, at: At<'_>, from: &mut Device, to: &mut Device) {
        if from.sessions.is_empty() {
            return;
        }
        if to.sessions.is_empty() {
            to.sessions = std::mem::take(&mut from.sessions);
            to.expiry = from.expiry;
            return;
        }
        let mut expired = from.take_expired(at.now, at.limits);
        expired.extend(to.take_expired(at.now, at.limits));
        for session in &expired {
            self.outbox.file(&session.guest, Reason::Expired, at.now);
        }
        self.totals.bump(Counter::Expired, expired.len() as u64);
        to.sessions.append(&mut from.sessions);
        to.sessions.sort_by(|a, b| (a.created_at, &a.guest).cmp(&(b.created_at, &b.guest)));
        to.expiry = to.expiry.max(from.expiry);
    }
}

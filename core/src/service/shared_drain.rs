//! Requests that file revocations while their process drains leave them to that drain, which claims once more: a
//! drain for each would ask the store for each.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::time::UnixMillis;

/// How long a drain takes on more after it last went on. One that hangs, or that its host has cut off, has then
/// taken on little, which is found at the next sweep at the latest.
const FRESH_MS: u64 = 1000;

/// What the drain that began last takes on.
#[derive(Debug, Default)]
pub(super) struct SharedDrain(Mutex<Offer>);

#[derive(Debug, Default)]
struct Offer {
    /// How many drains have begun: the number of the latest.
    drain: u64,
    until: UnixMillis,
    room: usize,
    taken_on: usize,
}

/// A drain's own side. Nothing is taken on after it was dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    shared: &'a SharedDrain,
    drain: u64,
}

impl SharedDrain {
    fn lock(&self) -> MutexGuard<'_, Offer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what a request filed to the drain under way. Answers false when there is none that takes it on.
    pub(super) fn leave(&self, now: UnixMillis) -> bool {
        let mut offer = self.lock();
        let is_open = offer.taken_on < offer.room && now < offer.until;
        offer.taken_on = offer.taken_on.saturating_add(usize::from(is_open));
        is_open
    }

    /// A drain begins. Its first claim finds what the one before took on, too.
    pub(super) fn begin(&self) -> Share<'_> {
        let mut offer = self.lock();
        let drain = offer.drain.wrapping_add(1);
        *offer = Offer { drain, ..Offer::default() };
        Share { shared: self, drain }
    }
}

impl Share<'_> {
    /// How many requests have left to this drain what they filed, since this was last asked.
    pub(super) fn taken_on(&self) -> usize {
        self.with(|offer| std::mem::take(&mut offer.taken_on))
    }

    /// Takes on what so many requests file in the time that follows, but not after `end`.
    pub(super) fn offer(&self, now: UnixMillis, end: UnixMillis, room: usize) {
        self.with(|offer| (offer.until, offer.room) = (now.plus(FRESH_MS).min(end), room));
    }

    /// Nothing, when another drain has begun since.
    fn with<T: Default>(&self, work: impl FnOnce(&mut Offer) -> T) -> T {
        let mut offer = self.shared.lock();
        if offer.drain == self.drain { work(&mut offer) } else { T::default() }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.with(|offer| offer.room = 0);
    }
}

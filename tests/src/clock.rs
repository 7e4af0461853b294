//! A clock that tests turn by hand, with randomness from a seed.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use guestpass_core::seams::Clock;
use guestpass_core::time::UnixMillis;

/// A clock that stands still until a test moves it. Clones share the time and the randomness.
#[derive(Debug, Clone)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: UnixMillis,
    /// Whether a sleep moves the time itself.
    auto_advance: bool,
    sleepers: Vec<Waker>,
    seed: u64,
    drawn: u64,
}

impl ManualClock {
    /// A clock that shows `now`; equal seeds give equal randomness.
    #[must_use]
    pub fn new(now: UnixMillis, seed: u64) -> Self {
        let state = State { now, auto_advance: false, sleepers: Vec::new(), seed, drawn: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The same clock, whose sleeps end at once by moving the time.
    #[must_use]
    pub fn auto_advance(self) -> Self {
        self.lock().auto_advance = true;
        self
    }

    /// Moves the time forwards and wakes who has slept long enough.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = self.lock().now.plus(millis);
        self.set(now);
    }

    /// Sets the time, backwards too.
    pub fn set(&self, now: UnixMillis) {
        let mut state = self.lock();
        state.now = now;
        let sleepers = std::mem::take(&mut state.sleepers);
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// How many sleeps are waiting for the time to move.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.lock().sleepers.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        self.lock().now
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now().plus(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        let mut yielded = false;
        poll_fn(|context| {
            let mut state = self.lock();
            if state.now >= until {
                return Poll::Ready(());
            }
            if state.auto_advance {
                if yielded {
                    drop(state);
                    self.set(until);
                    return Poll::Ready(());
                }
                // Others may run first, as they would in a real wait.
                yielded = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !state.sleepers.iter().any(|waker| waker.will_wake(context.waker())) {
                state.sleepers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn random(&self) -> [u8; 16] {
        let mut state = self.lock();
        let mut bytes = [0; 16];
        for half in bytes.chunks_mut(8) {
            state.drawn += 1;
            half.copy_from_slice(&mixed(state.seed, state.drawn).to_le_bytes());
        }
        bytes
    }
}

/// The n-th output of splitmix64.
const fn mixed(seed: u64, n: u64) -> u64 {
    let x = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_sleep_ends_when_the_time_has_moved_far_enough() {
        let clock = ManualClock::new(UnixMillis::new(1000), 1);
        let mut sleep = Box::pin(clock.sleep(SECOND));
        assert!(sleep.as_mut().now_or_never().is_none());
        assert_eq!(clock.sleeping(), 1);
        clock.advance(SECOND / 2);
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(SECOND / 2);
        assert!(sleep.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_sleep_moves_the_time_where_asked_to() {
        let clock = ManualClock::new(UnixMillis::new(1000), 1).auto_advance();
        clock.sleep(SECOND * 60).await;
        assert_eq!(clock.now(), UnixMillis::new(61_000));
    }

    #[test]
    fn equal_seeds_draw_equal_and_never_repeating_numbers() {
        let draw = |seed| {
            let clock = ManualClock::new(UnixMillis::new(0), seed);
            (0..100).map(|_| clock.random()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let distinct: std::collections::BTreeSet<_> = draw(7).into_iter().collect();
        assert_eq!(distinct.len(), 100);
    }
}

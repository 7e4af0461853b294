//! Virtual time. Nothing waits for real: when all are asleep, time jumps to whoever wakes first.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::seams::{Clock, MaybeSend};
use crate::time::UnixMillis;

/// When virtual time begins: no round number, so that a missing offset shows.
pub(crate) const BEGIN: u64 = 1_800_000_000_123;

#[derive(Debug, Clone)]
pub(crate) struct ManualClock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    now: u64,
    seed: u64,
    next_id: u64,
    sleepers: Vec<(u64, u64, Waker)>,
}

impl ManualClock {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { now: BEGIN, seed, next_id: 0, sleepers: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Milliseconds since the test began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.lock().now - BEGIN
    }

    /// Lets time pass and wakes whoever slept that long.
    pub(crate) fn advance(&self, millis: u64) {
        let mut inner = self.lock();
        inner.now += millis;
        let now = inner.now;
        let due: Vec<_> = inner.sleepers.extract_if(.., |(until, ..)| *until <= now).collect();
        drop(inner);
        due.into_iter().for_each(|(_, _, waker)| waker.wake());
    }

    fn advance_to_next(&self) -> bool {
        let (now, next) = {
            let inner = self.lock();
            (inner.now, inner.sleepers.iter().map(|(until, ..)| *until).min())
        };
        next.inspect(|until| self.advance(until.saturating_sub(now))).is_some()
    }

    /// Runs a future to its end; time passes as it is waited for.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_until(future, usize::MAX).unwrap()
    }

    /// The same, but drops the future when it is not done after so many waits.
    pub(crate) fn run_until<F: Future>(&self, future: F, waits: usize) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        for _ in 0..waits {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                assert!(self.advance_to_next(), "waits for what never comes");
            }
        }
        None
    }
}

/// Polls a future once.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.lock().now)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + MaybeSend {
        let mut inner = self.lock();
        inner.next_id += 1;
        let millis = u64::try_from(duration.as_millis()).unwrap();
        Sleep { clock: self.clone(), until: inner.now.saturating_add(millis), id: inner.next_id }
    }

    fn random(&self) -> [u8; 16] {
        let mut inner = self.lock();
        let mut word = || {
            // splitmix64
            inner.seed = inner.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = inner.seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)).to_le_bytes()
        };
        let halves = [word(), word()].concat();
        halves.try_into().unwrap()
    }
}

struct Sleep {
    clock: ManualClock,
    until: u64,
    id: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.lock();
        if inner.now >= self.until {
            return Poll::Ready(());
        }
        inner.sleepers.retain(|(_, id, _)| *id != self.id);
        inner.sleepers.push((self.until, self.id, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.retain(|(_, id, _)| *id != self.id);
    }
}

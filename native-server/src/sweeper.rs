//! The sweeper: at every tick what is due expires; and revocations are worked off as soon as they were filed. Both go
//! on beside each other, so that neither waits for a slow call of the other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream;
use guestpass_core::seams::{Clock as _, GuestProvider, SessionStore, StoreFault};
use guestpass_core::service::SweepBounds;

use crate::clock::SystemClock;
use crate::origin::Origin;

/// What is bounded is how many revocations are under way at once, and how long sessions expire before their
/// revocations are begun.
const BOUNDS: SweepBounds = SweepBounds {
    devices: usize::MAX,
    revocations: usize::MAX,
    concurrency: 128,
    time_ms: u64::MAX,
};
const LONGEST_EXPIRY_MS: u64 = 1000;

/// Starts the sweeper; it ends when the origin stops. A panic in it is logged, and it starts again.
pub fn spawn<S, P>(origin: &Arc<Origin<S, P>>, interval: Duration)
where
    S: SessionStore,
    P: GuestProvider,
{
    let sweeper = origin.clone();
    origin.spawn_sweeper(async move {
        loop {
            let swept = sweeper.clone();
            let work = async move { join(expire(&swept, interval), drain(&swept)).await };
            if tokio::spawn(work).await.is_ok() {
                return;
            }
            SystemClock.sleep(interval).await;
        }
    });
}

async fn expire<S: SessionStore, P: GuestProvider>(origin: &Origin<S, P>, interval: Duration) {
    let bounds = SweepBounds { time_ms: LONGEST_EXPIRY_MS, ..BOUNDS };
    let mut health = Health::of("expire sessions");
    loop {
        let begun = SystemClock.now();
        let expired = health.note(origin.app.expire(&bounds).await);
        if let Some(sessions @ 1..) = expired {
            tracing::debug!(sessions, "expired");
        }
        // Also for revocations that are to be tried again now, and those that other processes filed.
        origin.note_filed();
        let took_ms = SystemClock.now().since(begun);
        let is_cut_short = expired.is_some() && took_ms >= bounds.time_ms;
        let pause = if is_cut_short { Duration::ZERO } else { interval };
        tokio::select! {
            () = origin.stopped() => return,
            () = SystemClock.sleep(pause.saturating_sub(Duration::from_millis(took_ms))) => {}
        }
    }
}

async fn drain<S: SessionStore, P: GuestProvider>(origin: &Origin<S, P>) {
    let mut health = Health::of("revoke guests");
    loop {
        tokio::select! {
            () = origin.stopped() => return,
            () = origin.revocations_filed() => {}
        }
        let filed = stream::unfold((), |()| async {
            origin.revocations_filed().await;
            Some(((), ()))
        });
        if let Some(settled) = health.note(origin.app.drain_on(&BOUNDS, filed).await) {
            let (revoked, retried, stuck) = (settled.revoked, settled.retried, settled.stuck);
            tracing::debug!(revoked, retried, stuck, "drained");
        }
    }
}

/// Logs when faults begin and when they end, not each of them.
struct Health {
    what: &'static str,
    is_failing: bool,
}

impl Health {
    const fn of(what: &'static str) -> Self {
        Self { what, is_failing: false }
    }

    fn note<T>(&mut self, done: Result<T, StoreFault>) -> Option<T> {
        let was_failing = std::mem::replace(&mut self.is_failing, done.is_err());
        match done {
            Ok(done) => {
                if was_failing {
                    tracing::info!("able to {} again", self.what);
                }
                Some(done)
            }
            Err(fault) => {
                if !was_failing {
                    tracing::warn!(error = %fault, "cannot {}; trying again at every interval", self.what);
                }
                None
            }
        }
    }
}

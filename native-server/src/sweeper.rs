//! The sweeper: a full sweep at every tick, and a drain as soon as revocations were filed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use guestpass_core::seams::{Clock as _, GuestProvider, SessionStore, StoreFault};
use guestpass_core::service::SweepBounds;

use crate::clock::SystemClock;
use crate::origin::Origin;

/// Revocations under way at once.
const CONCURRENCY: usize = 128;

/// How long a round may claim more, at least and at most, in milliseconds. Rounds are short so that expiry
/// goes on while a long backlog is worked off.
const SHORTEST_ROUND_MS: u64 = 1000;
const LONGEST_ROUND_MS: u64 = 10_000;

/// Starts the sweeper; it ends when the origin stops. A panic in it is logged, and it starts again.
pub fn spawn<S, P>(origin: &Arc<Origin<S, P>>, interval: Duration)
where
    S: SessionStore,
    P: GuestProvider,
{
    let sweeper = origin.clone();
    origin.spawn_sweeper(async move {
        loop {
            let rounds = tokio::spawn(run(sweeper.clone(), interval));
            if rounds.await.is_ok() {
                return;
            }
            SystemClock.sleep(interval).await;
        }
    });
}

async fn run<S: SessionStore, P: GuestProvider>(origin: Arc<Origin<S, P>>, interval: Duration) {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let bounds = SweepBounds {
        devices: usize::MAX,
        revocations: usize::MAX,
        concurrency: CONCURRENCY,
        time_ms: interval_ms.clamp(SHORTEST_ROUND_MS, LONGEST_ROUND_MS),
    };
    let mut health = Health { is_failing: false };
    loop {
        let next_sweep = SystemClock.sleep(interval);
        let mut next_sweep = pin!(next_sweep);
        let mut round = sweep(&origin, &bounds).await;
        // Until the next tick, drain when there is something. That holds after a fault, too: whoever filed a
        // revocation has found the store well.
        loop {
            let goes_on = health.note(&round);
            let is_due = next_sweep.as_mut().now_or_never().is_some();
            if is_due {
                if origin.stopped().now_or_never().is_some() {
                    return;
                }
                break;
            }
            if !goes_on {
                tokio::select! {
                    () = origin.stopped() => return,
                    () = next_sweep.as_mut() => break,
                    () = origin.revocations_filed() => {}
                }
            }
            round = drain(&origin, &bounds).await;
        }
    }
}

/// Whether a round stopped because its time was over, so that there may be more to do.
type Round = Result<bool, StoreFault>;

async fn sweep<S: SessionStore, P: GuestProvider>(
    origin: &Origin<S, P>,
    bounds: &SweepBounds,
) -> Round {
    let begun = SystemClock.now();
    let report = origin.app.sweep(bounds).await?;
    if report != guestpass_core::service::SweepReport::default() {
        let (expired, revoked) = (report.expired, report.revoked);
        tracing::debug!(expired, revoked, retried = report.retried, stuck = report.stuck, "swept");
    }
    Ok(SystemClock.now().since(begun) >= bounds.time_ms)
}

async fn drain<S: SessionStore, P: GuestProvider>(
    origin: &Origin<S, P>,
    bounds: &SweepBounds,
) -> Round {
    let begun = SystemClock.now();
    let settled = origin.app.drain(bounds).await?;
    tracing::debug!(
        revoked = settled.revoked,
        retried = settled.retried,
        stuck = settled.stuck,
        "drained"
    );
    Ok(SystemClock.now().since(begun) >= bounds.time_ms)
}

/// Logs when faults begin and when they end, not each of them.
struct Health {
    is_failing: bool,
}

impl Health {
    /// Answers whether the next round should follow at once.
    fn note(&mut self, round: &Round) -> bool {
        match round {
            Ok(more) => {
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!("sweeping again");
                }
                *more
            }
            Err(fault) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(error = %fault, "cannot sweep; trying again at every interval");
                }
                false
            }
        }
    }
}

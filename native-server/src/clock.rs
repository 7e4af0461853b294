//! The origin's clock: system time, tokio's timer, the operating system's randomness. The only place
//! that reads any of them.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guestpass_core::seams::Clock;
use guestpass_core::time::UnixMillis;

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock seam")]
    fn now(&self) -> UnixMillis {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::new(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock seam")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock seam")]
    fn random(&self) -> [u8; 16] {
        RANDOM.with_borrow_mut(|(pool, left)| {
            if *left == 0 {
                // Without randomness neither ids nor nonces are safe: stopping is the only sound answer.
                getrandom::fill(pool.as_flattened_mut())
                    .expect("the operating system has no randomness");
                *left = pool.len();
            }
            *left -= 1;
            // Given away once, and not kept.
            std::mem::take(&mut pool[*left])
        })
    }
}

thread_local! {
    /// The operating system's randomness, drawn for many at once, and how much of it is left.
    static RANDOM: RefCell<([[u8; 16]; 32], usize)> = const { RefCell::new(([[0; 16]; 32], 0)) };
}

/// A future's output, or `None` when `limit` passes first.
#[expect(clippy::disallowed_methods, reason = "deadlines of the native host are made here")]
pub async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

//! Deadlines and pauses of the HTTP tests: real time, because the servers they talk to live in it.
#![expect(clippy::disallowed_methods, reason = "processes under test live in real time")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds as a duration.
#[must_use]
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Lets time pass: for rates and phases of a load, never in place of a condition.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A future's output, or `None` when `limit` passes first.
pub async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

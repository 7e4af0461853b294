//! Real time, for waiting on real processes. The only place in the tests that reads it.
#![expect(
    clippy::disallowed_methods,
    reason = "servers that are started, stopped and killed live in real time"
)]

use std::time::{Duration, Instant};

/// Waits until `probe` answers something, asking every few milliseconds.
///
/// # Panics
/// When `limit` passes first.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `probe` answers something, asking every few milliseconds and letting other tasks run.
///
/// # Panics
/// When `limit` passes first.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A future's output and how long it took.
pub async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let started = Instant::now();
    let output = future.await;
    (output, started.elapsed())
}

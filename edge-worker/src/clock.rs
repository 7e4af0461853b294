//! The Worker's clock: JavaScript's time, timer and randomness. The only place that reads any of them.

use std::time::Duration;

use guestpass_core::seams::Clock;
use guestpass_core::time::UnixMillis;

/// The clock of the isolate. In production it stands still between two reads unless there was I/O.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgeClock;

impl Clock for EdgeClock {
    fn now(&self) -> UnixMillis {
        // A float in Rust's cast saturates; milliseconds since 1970 are exact in it.
        UnixMillis::new(js_sys::Date::now() as u64)
    }

    async fn sleep(&self, duration: Duration) {
        // setTimeout takes 31 bits of milliseconds; what is longer would fire at once.
        let longest = Duration::from_millis(i32::MAX as u64);
        worker::Delay::from(duration.min(longest)).await;
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock seam")]
    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // Without randomness neither ids nor nonces are safe: stopping is the only sound answer. Within
            // a handler, crypto.getRandomValues is always there.
            tracing::error!(%error, "the runtime has no randomness");
            std::process::abort();
        }
        bytes
    }
}

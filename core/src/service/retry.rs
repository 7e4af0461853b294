//! When a call to Genesys is repeated, and how long to wait before: pure functions of what happened.

use crate::seams::{CallFault, FaultKind};
use crate::time::UnixMillis;

/// How often and how long to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first one included.
    pub max_attempts: u32,
    /// The delay before the first retry; it doubles with each further one. Milliseconds.
    pub base_delay_ms: u64,
    /// Upper bound of what is added at random to each delay. Milliseconds.
    pub jitter_ms: u64,
}

/// What to do after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait this many milliseconds, then try again.
    RetryAfter(u64),
    /// Give up, because…
    GiveUp(GiveUp),
}

/// Why a call is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// A repetition could not help, or could do the work twice.
    Final,
    /// All tries are used; the wait that would have been next, in milliseconds.
    Exhausted(u64),
    /// The wait does not fit in what is left of the request's deadline. Milliseconds.
    DoesNotFit(u64),
}

impl RetryPolicy {
    /// Decides after try number `tries` (1 = the first) failed with `fault`. `random` is any number;
    /// `left_ms` is what is left of the request's deadline.
    #[must_use]
    pub fn next(&self, tries: u32, fault: &CallFault, random: u64, left_ms: u64) -> Next {
        if !may_be_repeated(fault) {
            return Next::GiveUp(GiveUp::Final);
        }
        let jitter = random.checked_rem(self.jitter_ms.saturating_add(1)).unwrap_or(0);
        let delay =
            self.delay_ms(tries.saturating_sub(1), fault.retry_after_ms).saturating_add(jitter);
        if tries >= self.max_attempts {
            Next::GiveUp(GiveUp::Exhausted(delay))
        } else if delay >= left_ms {
            Next::GiveUp(GiveUp::DoesNotFit(delay))
        } else {
            Next::RetryAfter(delay)
        }
    }

    /// max(Retry-After, base · 2^n), before jitter, for retry number `n` (0 = the first).
    fn delay_ms(&self, n: u32, retry_after_ms: Option<u64>) -> u64 {
        let backoff = self.base_delay_ms.saturating_mul(1_u64.checked_shl(n).unwrap_or(u64::MAX));
        backoff.max(retry_after_ms.unwrap_or(0))
    }
}

/// Whether a repetition may help and cannot do the work twice.
const fn may_be_repeated(fault: &CallFault) -> bool {
    matches!(fault.kind, FaultKind::Status(429 | 502 | 503 | 504) | FaultKind::NotSent(_))
}

/// The longest rest that is believed, in milliseconds: a day.
const LONGEST_REST_MS: u64 = 24 * 3600 * 1000;

/// Reads a `Retry-After` header as milliseconds from now: whole seconds or an HTTP date. What is
/// malformed, negative or past is `None`; anything beyond a day counts as a day.
#[must_use]
pub fn parse_retry_after(text: &str, now: UnixMillis) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1000).min(LONGEST_REST_MS));
    }
    let wait = UnixMillis::from_http_date(text)?.since(now);
    (wait > 0).then(|| wait.min(LONGEST_REST_MS))
}

/// The wait before a failed revocation is tried again: 2, 4, 8 … seconds, at most 15 minutes, ± 25 %.
/// `failures` counts the failed attempts, this one included. Milliseconds.
#[must_use]
pub fn revocation_delay_ms(failures: u32, random: u64) -> u64 {
    const LONGEST_MS: u64 = 15 * 60 * 1000;
    let full = 1000_u64
        .saturating_mul(1_u64.checked_shl(failures.max(1)).unwrap_or(u64::MAX))
        .min(LONGEST_MS);
    let spread = full / 2;
    full.saturating_sub(full / 4)
        .saturating_add(random.checked_rem(spread.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::seams::Host;

    const POLICY: RetryPolicy =
        RetryPolicy { max_attempts: 3, base_delay_ms: 1000, jitter_ms: 500 };

    fn fault(kind: FaultKind, retry_after_ms: Option<u64>) -> CallFault {
        CallFault { host: Host::Api, kind, retry_after_ms, context: Box::default(), guest: None }
    }

    fn status(code: u16) -> CallFault {
        fault(FaultKind::Status(code), None)
    }

    #[test]
    fn only_what_is_safe_and_may_help_is_repeated() {
        for code in [429, 502, 503, 504] {
            assert_eq!(POLICY.next(1, &status(code), 0, 15_000), Next::RetryAfter(1000), "{code}");
        }
        assert_eq!(
            POLICY.next(1, &fault(FaultKind::NotSent(String::new()), None), 0, 15_000),
            Next::RetryAfter(1000)
        );
        let final_kinds = [
            FaultKind::Broken(String::new()),
            FaultKind::Unreadable(String::new()),
            FaultKind::TimedOut,
            FaultKind::Status(500),
            FaultKind::Status(400),
            FaultKind::Status(401),
            FaultKind::Status(403),
            FaultKind::Status(501),
        ];
        for kind in final_kinds {
            assert_eq!(
                POLICY.next(1, &fault(kind, Some(1)), 0, 15_000),
                Next::GiveUp(GiveUp::Final)
            );
        }
    }

    #[test]
    fn the_delay_doubles_and_yields_to_a_longer_retry_after() {
        assert_eq!(POLICY.next(2, &status(503), 0, 15_000), Next::RetryAfter(2000));
        assert_eq!(
            POLICY.next(1, &fault(FaultKind::Status(429), Some(7000)), 0, 15_000),
            Next::RetryAfter(7000)
        );
        assert_eq!(
            POLICY.next(2, &fault(FaultKind::Status(429), Some(500)), 0, 15_000),
            Next::RetryAfter(2000)
        );
    }

    #[test]
    fn jitter_is_at_most_its_bound() {
        assert_eq!(POLICY.next(1, &status(503), 500, 15_000), Next::RetryAfter(1500));
        assert_eq!(POLICY.next(1, &status(503), 501, 15_000), Next::RetryAfter(1000));
    }

    #[test]
    fn a_wait_that_does_not_fit_is_not_waited() {
        let long = fault(FaultKind::Status(429), Some(60_000));
        assert_eq!(POLICY.next(1, &long, 0, 15_000), Next::GiveUp(GiveUp::DoesNotFit(60_000)));
        assert_eq!(POLICY.next(1, &status(503), 0, 1000), Next::GiveUp(GiveUp::DoesNotFit(1000)));
        assert_eq!(POLICY.next(3, &status(503), 0, 15_000), Next::GiveUp(GiveUp::Exhausted(4000)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_garbage_is_nothing() {
        let now = UnixMillis::new(784_111_777_000);
        assert_eq!(parse_retry_after("42", now), Some(42_000));
        assert_eq!(parse_retry_after(" 0 ", now), Some(0));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30_000));
        assert_eq!(parse_retry_after("99999999999999999999999", now), Some(LONGEST_REST_MS));
        for nothing in ["-5", "", "1.5", "soon", "+3", "Sun, 06 Nov 1994 08:49:07 GMT", "42 s"] {
            assert_eq!(parse_retry_after(nothing, now), None, "{nothing}");
        }
    }

    #[test]
    fn revocations_wait_longer_each_time_but_never_beyond_a_quarter_past_15_minutes() {
        assert_eq!(revocation_delay_ms(1, 0), 1500);
        assert_eq!(revocation_delay_ms(1, 500), 2000);
        assert_eq!(revocation_delay_ms(2, 1000), 4000);
        assert_eq!(revocation_delay_ms(1000, 0), 675_000);
        assert_eq!(revocation_delay_ms(u32::MAX, 450_000), 1_125_000);
    }

    proptest! {
        #[test]
        fn no_input_makes_the_decision_overflow(
            tries: u32, random: u64, left: u64, after: Option<u64>, base: u64, jitter: u64, max: u32,
        ) {
            let policy = RetryPolicy { max_attempts: max, base_delay_ms: base, jitter_ms: jitter };
            let fault = fault(FaultKind::Status(429), after);
            if let Next::RetryAfter(delay) = policy.next(tries, &fault, random, left) {
                prop_assert!(delay < left && delay >= after.unwrap_or(0) && tries < max);
            }
        }

        #[test]
        fn any_text_is_a_retry_after_or_nothing(text: String, now: u64) {
            let _ = parse_retry_after(&text, UnixMillis::new(now));
        }
    }
}

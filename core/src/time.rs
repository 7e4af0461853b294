//! Points in time as Unix milliseconds, and their two texts: RFC 3339 (out) and HTTP dates (in).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. Never beyond the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The last millisecond of the year 9999, the latest that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// A time from milliseconds; later ones than [`Self::MAX`] become it.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This time plus `millis`.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self::new(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; 0 when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds, such as `2026-11-24T05:24:21.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).to_string()
    }

    /// Reads an HTTP date in any of the three forms of RFC 9110.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let time: SystemTime = httpdate::parse_http_date(text).ok()?;
        let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since_epoch.as_millis()).ok().map(Self::new)
    }
}

/// Milliseconds as whole seconds, rounded up, at least 1: what a `Retry-After` header says.
#[must_use]
pub const fn whole_seconds(millis: u64) -> u64 {
    let seconds = millis.div_ceil(1000);
    if seconds == 0 { 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn rfc3339_has_milliseconds_and_z() {
        assert_eq!(UnixMillis::new(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis::new(1_723_717_800_007).rfc3339(), "2024-08-15T10:30:00.007Z");
        assert_eq!(UnixMillis::new(u64::MAX).rfc3339(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn http_dates_are_read_and_garbage_is_not() {
        let expected = Some(UnixMillis::new(784_111_777_000));
        assert_eq!(UnixMillis::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(UnixMillis::from_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), expected);
        assert_eq!(UnixMillis::from_http_date("soon"), None);
    }

    #[test]
    fn retry_after_rounds_up_and_never_says_zero() {
        assert_eq!([0, 1, 1000, 1001].map(whole_seconds), [1, 1, 1, 2]);
    }
}

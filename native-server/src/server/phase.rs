//! The phases that a connection goes through, and how long each may last.

use std::time::Duration;

/// The time between two looks at all connections.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The client sends the head of a request, or has yet to send the first one.
    Head = 0,
    /// The client sends a body.
    Body = 1,
    /// The request waits or is worked on.
    Work = 2,
    /// The client receives an answer.
    Answer = 3,
    /// Between two requests.
    Idle = 4,
}

impl Phase {
    pub(super) const fn of(bits: u64) -> Self {
        match bits & 7 {
            0 => Self::Head,
            1 => Self::Body,
            2 => Self::Work,
            3 => Self::Answer,
            _ => Self::Idle,
        }
    }

    /// How many ticks it may last. `stopping` is when nobody new is let in.
    pub(super) const fn limit(self, stopping: bool) -> u64 {
        let a_second = 1000 / TICK.as_millis() as u64;
        match (self, stopping) {
            (Self::Head | Self::Body | Self::Answer, false) => 30 * a_second,
            // Longer than load balancers keep theirs (60 s as a rule), so that they close first.
            (Self::Idle, false) => 75 * a_second,
            (Self::Head, true) => 2 * a_second,
            // Time for a request that is on its way already.
            (Self::Idle, true) => a_second,
            (Self::Body | Self::Answer, true) => 5 * a_second,
            (Self::Work, _) => u64::MAX,
        }
    }
}

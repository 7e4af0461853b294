//! How much one invocation may sweep. Cloudflare counts every fetch as a subrequest and refuses those over
//! its limit (50 on the free plan), which would fail revocations that nothing is wrong with.

use guestpass_core::service::SweepBounds;

/// Devices of which one script call expires what is due.
const DEVICES: usize = 100;

/// An invocation has six connections; two are left for the store.
const CONCURRENCY: usize = 4;

/// What an issue may have used before its drain: a token, a retried create, and the store's calls.
const ISSUE_CALLS: usize = 16;

/// What a sweep costs whatever it finds: a token fetched twice, and scripts that Redis does not know yet.
const FIXED_CALLS: usize = 6;

/// `due` twice, `expire`, and `claim` in each shard.
const FIXED_CALLS_A_SHARD: usize = 4;

/// After an answer Cloudflare allows 30 s; revocations that are cut off wait for their lease to end.
const DRAIN_TIME_MS: u64 = 10_000;

/// A cron invocation may run longer, but the next one is a minute away.
const SWEEP_TIME_MS: u64 = 40_000;

/// What a cron invocation may do.
#[must_use]
pub fn of_sweep(subrequests: u32, shards: u32) -> SweepBounds {
    SweepBounds {
        devices: DEVICES,
        revocations: affordable(subrequests, shards, 0),
        concurrency: CONCURRENCY,
        time_ms: SWEEP_TIME_MS,
    }
}

/// What may be done after the answer to a request that filed revocations.
#[must_use]
pub fn of_drain(subrequests: u32, shards: u32) -> SweepBounds {
    SweepBounds {
        devices: 0,
        revocations: affordable(subrequests, shards, ISSUE_CALLS),
        concurrency: CONCURRENCY,
        time_ms: DRAIN_TIME_MS,
    }
}

/// Revocations for which the subrequests suffice: each is a call, a settlement of its own, and its part of
/// a claim, which fetches two at least and may ask every shard.
fn affordable(subrequests: u32, shards: u32, used: usize) -> usize {
    let subrequests = usize::try_from(subrequests).unwrap_or(usize::MAX);
    let shards = usize::try_from(shards).unwrap_or(usize::MAX);
    let fixed = FIXED_CALLS.saturating_add(FIXED_CALLS_A_SHARD.saturating_mul(shards));
    let each = 2_usize.saturating_add(shards.div_ceil(2));
    (subrequests.saturating_sub(used).saturating_sub(fixed) / each).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_plan_suffices_for_a_dozen_revocations_a_minute() {
        assert_eq!(of_sweep(50, 1).revocations, 13);
        assert_eq!(of_drain(50, 1).revocations, 8);
    }

    #[test]
    fn a_larger_limit_is_used() {
        assert_eq!(of_sweep(1000, 1).revocations, 330);
    }

    #[test]
    fn something_is_always_done() {
        assert_eq!(of_drain(50, 1024).revocations, 1);
        assert_eq!(of_sweep(0, u32::MAX).revocations, 1);
    }
}

//! What goes into a store's operations and what comes out: the shapes of `seams::SessionStore`.

use crate::names::{DeviceKey, FlightId, GuestId};
use crate::secret::Secret;
use crate::time::UnixMillis;

/// The limits that the rules keep. All durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most sessions of a device, and most creates in flight besides.
    pub cap: u32,
    /// A device's sessions expire this long after its last commit or renew.
    pub ttl_ms: u64,
    /// Longest life of one session; 0 = no bound.
    pub max_age_ms: u64,
    /// Issues a minute for one device; 0 = no bound.
    pub rate_per_device: u32,
    /// Issues a minute for one address; 0 = no bound.
    pub rate_per_ip: u32,
    /// How long a place in flight lasts.
    pub flight_ms: u64,
    /// How long a claim of revocations lasts.
    pub lease_ms: u64,
}

/// The moment and the limits under which an operation runs. Stores never read a clock.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Now.
    pub now: UnixMillis,
    /// The limits in force at this host.
    pub limits: &'a Limits,
}

/// How long an idempotency key stays bound to its answer, in milliseconds.
pub const IDEMPOTENCY_MS: u64 = 600_000;

/// The window of a rate limit, in milliseconds.
pub const RATE_WINDOW_MS: u64 = 60_000;

/// An idempotency key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Hash of the key.
    pub key_hash: String,
    /// Hash of the request body, as parsed JSON.
    pub body_hash: String,
    /// Replace a finished record: the caller found it unreadable.
    pub overwrite: bool,
}

/// A request for leave to create a guest.
#[derive(Debug)]
pub struct Admit<'a> {
    /// The device.
    pub device: &'a DeviceKey,
    /// The create's id.
    pub flight: &'a FlightId,
    /// The request's idempotency key, if it has one.
    pub idempotency: Option<&'a Idempotency>,
    /// Hash of the client's address, when addresses are limited.
    pub address_hash: Option<&'a str>,
}

/// The answer to [`Admit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Go ahead: a place in flight is taken.
    Granted,
    /// The idempotency key is bound to this answer.
    Replay(Issued),
    /// The idempotency key is bound to a record that cannot be read: ask again, to overwrite it.
    Unreadable,
    /// The first request with this idempotency key is still running.
    InFlight,
    /// The idempotency key is bound to another body.
    Mismatch,
    /// Genesys is to be left alone until then.
    CoolDown(UnixMillis),
    /// A rate limit is reached; its window ends then.
    RateLimited(UnixMillis),
    /// As many creates are in flight as the device may have sessions.
    Busy,
}

/// A guest token as it is stored: plain, or sealed with a hash of the plain one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// The token or its sealed form.
    pub text: Secret,
    /// Hexadecimal SHA-256 of the plain token, present when `text` is sealed.
    pub sha256: Option<String>,
}

/// What a caller presents to prove that a session is its own.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The token.
    pub token: Secret,
    /// Its hexadecimal SHA-256.
    pub sha256: String,
}

/// A created guest to be recorded.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The device.
    pub device: &'a DeviceKey,
    /// The create's id, as admitted.
    pub flight: &'a FlightId,
    /// The guest.
    pub guest: &'a GuestId,
    /// Its token.
    pub token: &'a StoredToken,
    /// The idempotency key to bind.
    pub idempotency: Option<&'a Idempotency>,
}

/// The answer to [`Commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The session's creation time (its score).
    pub created_at: UnixMillis,
    /// When it expires unless the device is active again.
    pub expires_at: UnixMillis,
    /// Sessions that this one displaced.
    pub evicted: u32,
    /// Sessions found expired.
    pub expired: u32,
    /// Members that could not be read and were removed.
    pub set_aside: u32,
}

/// The first answer to an issue, as an idempotency key keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The guest.
    pub guest: GuestId,
    /// Its token.
    pub token: StoredToken,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was to expire.
    pub expires_at: UnixMillis,
    /// Sessions it displaced.
    pub evicted: u32,
}

/// An admitted create that came to no session.
#[derive(Debug)]
pub struct Abort<'a> {
    /// The device.
    pub device: &'a DeviceKey,
    /// The create's id, as admitted.
    pub flight: &'a FlightId,
    /// The idempotency key to free.
    pub idempotency: Option<&'a Idempotency>,
    /// Why.
    pub outcome: AbortOutcome<'a>,
}

/// Why a create came to no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortOutcome<'a> {
    /// It definitely created no guest.
    Refused,
    /// It may have created a guest whose id is unknown: counted as orphaned.
    Orphaned,
    /// It created this guest, which could not be committed: any session of it is removed and a
    /// revocation is filed.
    CommitFailed(&'a GuestId),
    /// As before, but the guest is revoked already: any session of it is removed, and it is counted as revoked.
    Withdrawn(&'a GuestId),
}

/// Which sessions to end.
#[derive(Debug)]
pub enum End<'a> {
    /// One, on the operator's word.
    One(&'a GuestId),
    /// One, on the word of who holds its token.
    Own(&'a GuestId, &'a Proof),
    /// All of the device's.
    All,
}

/// The answer to ending sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Sessions ended, each with its revocation filed.
    pub ended: u32,
    /// Sessions met that had expired already; their revocations are filed too.
    pub expired: u32,
}

/// A live session without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The guest.
    pub guest: GuestId,
    /// When the session was created.
    pub created_at: UnixMillis,
    /// When it expires unless the device is active again.
    pub expires_at: UnixMillis,
}

/// The answer to `due`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Devices of which something has expired.
    pub devices: Vec<DeviceKey>,
    /// Creates newly counted as orphaned.
    pub orphaned: u64,
    /// Names that cannot be a device's and were removed.
    pub set_aside: u64,
}

/// The answer to `expire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Sessions expired, each with its revocation filed.
    pub sessions: u64,
    /// Members or devices that could not be read and were set aside.
    pub set_aside: u64,
}

/// A claimed revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The guest to revoke.
    pub guest: GuestId,
    /// Attempts made before this claim.
    pub attempts: u32,
    /// The shard it lives in; opaque to callers, who hand it back in [`Settlement`].
    pub shard: u32,
}

/// How one claimed revocation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The claimed job's guest.
    pub guest: GuestId,
    /// The claimed job's shard.
    pub shard: u32,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a claimed revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Confirmed: forgotten and counted.
    Revoked,
    /// Failed: to be tried again then.
    Retry {
        /// The next attempt.
        at: UnixMillis,
        /// Why it failed.
        error: String,
    },
    /// Failed for the last time: kept as stuck.
    Stuck {
        /// Why it failed.
        error: String,
    },
    /// Not tried: due again then, with its attempts as they were.
    Released {
        /// The next attempt.
        at: UnixMillis,
    },
}

/// The answer to `settle`: how many settlements took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Confirmed.
    pub revoked: u64,
    /// To be tried again.
    pub retried: u64,
    /// Now stuck.
    pub stuck: u64,
    /// Given back untried.
    pub released: u64,
    /// Left as they were: the claim no longer held.
    pub late: u64,
}

/// Why a guest is to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Displaced by a newer session.
    Evicted,
    /// Inactive for the TTL, or past its maximum age.
    Expired,
    /// Ended by its holder or an operator.
    Ended,
    /// Created but not committed.
    CommitFailed,
}

impl Reason {
    /// The reason as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::CommitFailed => "commit_failed",
        }
    }

    /// Reads a stored reason.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Evicted, Self::Expired, Self::Ended, Self::CommitFailed]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// Whether a revocation still runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationState {
    /// Will be tried at its next attempt.
    Pending,
    /// Failed too often; waits for an operator.
    Stuck,
}

impl RevocationState {
    /// The state as it stands in JSON and queries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Stuck => "stuck",
        }
    }
}

/// A revocation as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The guest.
    pub guest: GuestId,
    /// Why it is to be revoked; `None` when the stored job was unreadable.
    pub reason: Option<Reason>,
    /// Pending or stuck.
    pub state: RevocationState,
    /// Failed attempts.
    pub attempts: u32,
    /// When it was filed.
    pub enqueued_at: UnixMillis,
    /// When it is tried next; `None` when stuck.
    pub next_attempt_at: Option<UnixMillis>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl Revocation {
    /// Lists soonest attempt first; stuck ones, which have none, by when they were filed.
    pub(crate) fn sort(all: &mut [Self]) {
        // Their order is total; the stable sort would be several kilobytes of the Worker.
        all.sort_unstable_by(|a, b| {
            let key = |r: &Self| r.next_attempt_at.unwrap_or(r.enqueued_at);
            key(a).cmp(&key(b)).then_with(|| a.guest.cmp(&b.guest))
        });
    }
}

/// The counters, in the order of [`Counter::ALL`], and the gauges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Totals since the store was created.
    pub counters: [u64; Counter::ALL.len()],
    /// Devices with sessions.
    pub devices: u64,
    /// Creates in flight.
    pub in_flight: u64,
    /// Pending revocations.
    pub pending_revocations: u64,
    /// Stuck revocations.
    pub stuck_revocations: u64,
    /// When the oldest pending revocation was filed.
    pub oldest_pending: Option<UnixMillis>,
    /// Until when Genesys is left alone.
    pub cool_until: UnixMillis,
}

macro_rules! counters {
    ($($variant:ident $name:literal $help:literal)*) => {
        /// The counters that stores keep.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant's help text documents it")]
        pub enum Counter { $($variant),* }

        impl Counter {
            /// All counters.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in JSON and in the store.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name),* } }

            /// What it counts.
            #[must_use]
            pub const fn help(self) -> &'static str { match self { $(Self::$variant => $help),* } }
        }
    };
}
counters! {
    Issued "issued" "Sessions committed."
    Replayed "replayed" "Issues answered from an idempotency key."
    Evicted "evicted" "Sessions displaced by newer ones."
    Expired "expired" "Sessions that expired."
    Ended "ended" "Sessions ended by their holder or an operator."
    Revoked "revoked" "Revocations that Genesys confirmed."
    RevokeFailed "revokeFailed" "Attempts to revoke that failed."
    Stuck "stuck" "Revocations that failed for the last time."
    Abandoned "abandoned" "Revocations given up by an operator."
    Orphaned "orphaned" "Creates whose outcome is unknown; each may have left a guest at Genesys."
    RateLimited "rateLimited" "Issues refused by a rate limit."
    Busy "busy" "Issues refused because too many creates were in flight for the device."
}

impl Stats {
    /// One counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).copied().unwrap_or(0)
    }
}

impl Stats {
    /// Sets one counter.
    pub fn set_counter(&mut self, counter: Counter, value: u64) {
        if let Some(slot) = self.counters.get_mut(counter as usize) {
            *slot = value;
        }
    }

    /// Adds to one counter.
    pub fn bump(&mut self, counter: Counter, by: u64) {
        self.set_counter(counter, self.counter(counter).saturating_add(by));
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        for counter in Counter::ALL {
            self.bump(counter, other.counter(counter));
        }
        self.devices += other.devices;
        self.in_flight += other.in_flight;
        self.pending_revocations += other.pending_revocations;
        self.stuck_revocations += other.stuck_revocations;
        self.oldest_pending = match (self.oldest_pending, other.oldest_pending) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.cool_until = self.cool_until.max(other.cool_until);
    }
}

impl Settled {
    /// Adds another batch's.
    pub const fn add(&mut self, other: Self) {
        self.revoked += other.revoked;
        self.retried += other.retried;
        self.stuck += other.stuck;
        self.released += other.released;
        self.late += other.late;
    }
}

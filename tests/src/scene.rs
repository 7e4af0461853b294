//! A store, a time and limits, and short words for what tests do with them.

use std::sync::atomic::{AtomicU64, Ordering};

use guestpass_core::names::{ClaimId, DeviceKey, Fingerprint, FlightId, GuestId};
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{
    Abort, AbortOutcome, Admission, Admit, At, Commit, Committed, End, Ended, Expired, Fate,
    Idempotency, Job, Limits, Proof, Revocation, RevocationState, SessionInfo, Settled, Settlement,
    Stats, StoredToken,
};
use guestpass_core::time::UnixMillis;

/// When every scene begins: the first millisecond of a minute in 2025.
pub const START: u64 = 1_750_000_020_000;

/// The limits of most scenes: 3 sessions, an hour, no maximum age, no rates.
pub const LIMITS: Limits = Limits {
    cap: 3,
    ttl_ms: 3_600_000,
    max_age_ms: 0,
    rate_per_device: 0,
    rate_per_ip: 0,
    flight_ms: 20_000,
    lease_ms: 30_000,
};

/// A store at a time under limits. The time is in milliseconds since [`START`].
#[derive(Debug)]
pub struct Scene<'s, S> {
    /// The store.
    pub store: &'s S,
    /// The limits in force.
    pub limits: Limits,
    /// Milliseconds since [`START`]; may be set backwards, below 0 too.
    pub now: i64,
    made: AtomicU64,
}

/// A device by a short name.
///
/// # Panics
/// When the name cannot be a device's.
#[must_use]
pub fn device(name: &str) -> DeviceKey {
    DeviceKey::from_stored(&format!("device-{name}")).expect("a device's name")
}

/// A device by a short name, as it is stored under the first of some keys while all are read.
///
/// # Panics
/// When the name cannot be a device's.
#[must_use]
pub fn keyed_device(name: &str, keys: &[&str]) -> DeviceKey {
    let fingerprint = Fingerprint::parse(&format!("device-{name}")).expect("a fingerprint");
    let keys: Vec<_> = keys.iter().map(|key| Secret::new(*key)).collect();
    DeviceKey::of(&fingerprint, &keys)
}

/// A guest by its id.
///
/// # Panics
/// When the id cannot be a guest's.
#[must_use]
pub fn guest(id: &str) -> GuestId {
    GuestId::parse(id).expect("a guest id")
}

/// The plain token that every guest has in these scenes.
#[must_use]
pub fn token_of(guest: &GuestId) -> StoredToken {
    StoredToken { text: Secret::new(format!("token-of-{guest}")), sha256: None }
}

/// The proof that goes with [`token_of`].
#[must_use]
pub fn proof_of(guest: &GuestId) -> Proof {
    proof(&format!("token-of-{guest}"))
}

/// A proof from a plain token. Its hash is a stand-in that only equals itself.
#[must_use]
pub fn proof(token: &str) -> Proof {
    Proof { token: Secret::new(token), sha256: format!("sha256-of-{token}") }
}

/// A time in milliseconds since [`START`].
#[must_use]
pub fn time(since_start: i64) -> UnixMillis {
    UnixMillis::new(START.saturating_add_signed(since_start))
}

/// An idempotency key with the hash of its request's body.
#[must_use]
pub fn key(key: &str, body: &str) -> Idempotency {
    Idempotency { key_hash: key.to_owned(), body_hash: body.to_owned(), overwrite: false }
}

/// The ids of sessions, in their order.
#[must_use]
pub fn ids(sessions: &[SessionInfo]) -> Vec<&str> {
    sessions.iter().map(|session| session.guest.as_str()).collect()
}

impl<'s, S: SessionStore> Scene<'s, S> {
    /// A scene at [`START`] under [`LIMITS`].
    pub const fn new(store: &'s S) -> Self {
        Self { store, limits: LIMITS, now: 0, made: AtomicU64::new(1) }
    }

    /// The same scene before another store.
    #[must_use]
    pub fn before<T: SessionStore>(self, store: &T) -> Scene<'_, T> {
        Scene { store, limits: self.limits, now: self.now, made: self.made }
    }

    /// Now, and the limits in force.
    #[must_use]
    pub fn at(&self) -> At<'_> {
        At { now: time(self.now), limits: &self.limits }
    }

    fn number(&self) -> [u8; 16] {
        u128::from(self.made.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }

    /// A flight that no other has.
    #[must_use]
    pub fn flight(&self) -> FlightId {
        FlightId::from_random(self.number())
    }

    /// A claim that no other has.
    #[must_use]
    pub fn claim_id(&self) -> ClaimId {
        ClaimId::from_random(self.number())
    }

    /// Asks leave to create a guest.
    pub async fn admit(&self, device: &DeviceKey, flight: &FlightId) -> Admission {
        self.admit_full(device, flight, None, None).await
    }

    /// Asks leave to create a guest, with an idempotency key.
    pub async fn admit_keyed(
        &self,
        device: &DeviceKey,
        flight: &FlightId,
        key: &Idempotency,
    ) -> Admission {
        self.admit_full(device, flight, Some(key), None).await
    }

    /// Asks leave to create a guest, with everything that there is to say.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn admit_full(
        &self,
        device: &DeviceKey,
        flight: &FlightId,
        idempotency: Option<&Idempotency>,
        address_hash: Option<&str>,
    ) -> Admission {
        let admit = Admit { device, flight, idempotency, address_hash };
        self.store.admit(self.at(), &admit).await.expect("admit")
    }

    /// Records a guest with the token of [`token_of`].
    pub async fn commit(
        &self,
        device: &DeviceKey,
        flight: &FlightId,
        guest: &GuestId,
    ) -> Committed {
        self.commit_keyed(device, flight, guest, None).await
    }

    /// Records a guest and binds an idempotency key.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn commit_keyed(
        &self,
        device: &DeviceKey,
        flight: &FlightId,
        guest: &GuestId,
        idempotency: Option<&Idempotency>,
    ) -> Committed {
        let commit = Commit { device, flight, guest, token: &token_of(guest), idempotency };
        self.store.commit(self.at(), &commit).await.expect("commit")
    }

    /// Ends an admitted create.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn abort(
        &self,
        device: &DeviceKey,
        flight: &FlightId,
        idempotency: Option<&Idempotency>,
        outcome: AbortOutcome<'_>,
    ) {
        let abort = Abort { device, flight, idempotency, outcome };
        self.store.abort(self.at(), &abort).await.expect("abort");
    }

    /// Admits and commits a guest.
    ///
    /// # Panics
    /// When it is not admitted.
    pub async fn issue(&self, device: &DeviceKey, id: &str) -> Committed {
        let flight = self.flight();
        assert_eq!(self.admit(device, &flight).await, Admission::Granted);
        self.commit(device, &flight, &guest(id)).await
    }

    /// A device's live sessions.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn list(&self, device: &DeviceKey) -> Vec<SessionInfo> {
        self.store.list(self.at(), device).await.expect("list")
    }

    /// The guests of a device's live sessions, oldest first.
    pub async fn guests(&self, device: &DeviceKey) -> Vec<String> {
        self.list(device).await.iter().map(|session| session.guest.to_string()).collect()
    }

    /// Renews by a token.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn renew(&self, device: &DeviceKey, id: &str, proof: &Proof) -> Option<UnixMillis> {
        self.store.renew(self.at(), device, &guest(id), proof).await.expect("renew")
    }

    /// Ends sessions.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn end(&self, device: &DeviceKey, end: End<'_>) -> Ended {
        self.store.end(self.at(), device, &end).await.expect("end")
    }

    /// Expires whatever is due.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn expire_due(&self) -> Expired {
        let due = self.store.due(self.at(), 100).await.expect("due");
        self.store.expire(self.at(), &due.devices).await.expect("expire")
    }

    /// Claims due revocations.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn claim(&self, claim: &ClaimId, limit: usize) -> Vec<Job> {
        self.store.claim(self.at(), claim, limit).await.expect("claim")
    }

    /// Settles one claimed revocation.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn settle(&self, claim: &ClaimId, job: &Job, fate: Fate) -> Settled {
        let settlement = Settlement { guest: job.guest.clone(), shard: job.shard, fate };
        self.store.settle(self.at(), claim, &[settlement]).await.expect("settle")
    }

    /// The pending revocations.
    pub async fn pending(&self) -> Vec<Revocation> {
        self.revocations(RevocationState::Pending).await
    }

    /// The stuck revocations.
    pub async fn stuck(&self) -> Vec<Revocation> {
        self.revocations(RevocationState::Stuck).await
    }

    async fn revocations(&self, state: RevocationState) -> Vec<Revocation> {
        self.store.revocations(self.at(), state, 1000).await.expect("revocations")
    }

    /// The pending revocations as `guest:reason`, in the order of guests.
    pub async fn filed(&self) -> Vec<String> {
        let line = |revocation: &Revocation| {
            format!(
                "{}:{}",
                revocation.guest,
                revocation.reason.map_or("?", |reason| reason.as_str())
            )
        };
        let mut all: Vec<_> = self.pending().await.iter().map(line).collect();
        all.sort_unstable();
        all
    }

    /// Counters and gauges.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn stats(&self) -> Stats {
        self.store.stats(self.at()).await.expect("stats")
    }
}

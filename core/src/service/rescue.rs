//! Rescue: bringing a create to its end when the store did not hear how it ended. A created guest that
//! could not be committed is revoked, directly or by a filed revocation, and no fault makes it forgotten
//! while the process lives.

use std::time::Duration;

use super::{After, App};
use crate::names::{DeviceKey, FlightId, GuestId};
use crate::seams::{Clock, GuestProvider, SessionStore, StoreFault};
use crate::store::ops::{Abort, AbortOutcome, Idempotency};

/// A create whose end the store has yet to hear.
#[derive(Debug)]
pub struct Rescue {
    device: DeviceKey,
    flight: FlightId,
    idempotency: Option<Idempotency>,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    /// No guest was created.
    Unused,
    /// Whether one was created is unknown.
    Orphaned,
    /// This one was created, and is not revoked.
    Created(GuestId),
    /// This one was created, and is revoked.
    Revoked(GuestId),
}

/// The first wait between two attempts; it doubles up to [`LONGEST_WAIT_MS`].
const FIRST_WAIT_MS: u64 = 250;
const LONGEST_WAIT_MS: u64 = 5000;

impl Rescue {
    pub(super) const fn unused(
        device: DeviceKey,
        flight: FlightId,
        idempotency: Option<Idempotency>,
    ) -> Self {
        Self { device, flight, idempotency, ending: Ending::Unused }
    }

    pub(super) const fn orphaned(
        device: DeviceKey,
        flight: FlightId,
        idempotency: Option<Idempotency>,
    ) -> Self {
        Self { device, flight, idempotency, ending: Ending::Orphaned }
    }

    pub(super) const fn created(
        device: DeviceKey,
        flight: FlightId,
        idempotency: Option<Idempotency>,
        guest: GuestId,
    ) -> Self {
        Self { device, flight, idempotency, ending: Ending::Created(guest) }
    }
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    /// A created guest cannot become a session: files its revocation, or else revokes it directly.
    pub(super) async fn withdraw(&self, rescue: Rescue) -> After {
        match self.tell_store(&rescue).await {
            Ok(()) => After { revocations_filed: true, rescue: None },
            Err(_) => self.withdraw_directly(rescue).await,
        }
    }

    /// The same where the store cannot be reached: revokes at once, and leaves the rest for later.
    pub(super) async fn withdraw_directly(&self, mut rescue: Rescue) -> After {
        self.try_to_revoke(&mut rescue).await;
        After { revocations_filed: false, rescue: Some(Box::new(rescue)) }
    }

    /// Tries until the store has heard, or until that no longer matters.
    pub(super) async fn rescue(&self, mut rescue: Rescue) {
        let begun = self.clock.now();
        let mut wait_ms = FIRST_WAIT_MS;
        while let Err(fault) = self.tell_store(&rescue).await {
            self.try_to_revoke(&mut rescue).await;
            // A place in flight ends by itself. A created guest does not, not even once it is revoked: its
            // commit may have been done, and a session or a replay must not hand out a dead token.
            let is_safe = matches!(rescue.ending, Ending::Unused | Ending::Orphaned);
            if is_safe && self.clock.now().since(begun) > self.rules.limits.flight_ms {
                tracing::warn!(error = %fault, "the store never heard how a create ended; its place in flight has run out");
                return;
            }
            self.clock.sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = wait_ms.saturating_mul(2).min(LONGEST_WAIT_MS);
        }
    }

    async fn tell_store(&self, rescue: &Rescue) -> Result<(), StoreFault> {
        let outcome = match &rescue.ending {
            Ending::Unused => AbortOutcome::Refused,
            Ending::Orphaned => AbortOutcome::Orphaned,
            Ending::Created(guest) => AbortOutcome::CommitFailed(guest),
            Ending::Revoked(guest) => AbortOutcome::Withdrawn(guest),
        };
        let abort = Abort {
            device: &rescue.device,
            flight: &rescue.flight,
            idempotency: rescue.idempotency.as_ref(),
            outcome,
        };
        self.store.abort(self.at(), &abort).await
    }

    /// Revokes a created guest directly, unless Genesys is to be left alone.
    async fn try_to_revoke(&self, rescue: &mut Rescue) {
        let Ending::Created(guest) = &rescue.ending else { return };
        let is_cooling = || self.known_cool_until() > self.clock.now();
        if is_cooling() {
            return;
        }
        let revoked = match self.prepare(self.rules.deadline_ms).await {
            // The token may have taken a while.
            Ok(_) if is_cooling() => return,
            Ok(_) => self.call_revoke(guest, self.rules.deadline_ms).await,
            Err(fault) => Err(fault),
        };
        match revoked {
            Ok(()) => {
                tracing::info!(guest_id = %guest, "a guest that could not be committed was revoked directly");
                rescue.ending = Ending::Revoked(guest.clone());
            }
            Err(fault) => {
                tracing::error!(guest_id = %guest, fault = %fault, "neither committed nor revoked yet; trying on");
            }
        }
    }
}

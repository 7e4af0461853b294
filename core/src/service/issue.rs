//! Issuing a session: admit, create, commit, and what becomes of it where one of them fails.

use super::calls::CreateFailure;
use super::rescue::Rescue;
use super::{After, App};
use crate::names::{DeviceKey, FlightId, GuestId};
use crate::seams::{Clock, Guest, GuestProvider, SessionStore, StoreFault};
use crate::secret::Secret;
use crate::store::ops::{Abort, AbortOutcome, Admission, Admit, Commit, Idempotency};
use crate::time::UnixMillis;

/// A request for a session.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) device: DeviceKey,
    /// The text of a JSON object for Genesys.
    pub(crate) routing: Option<String>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) address_hash: Option<String>,
}

/// A session for a visitor.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) guest: GuestId,
    pub(crate) token: Secret,
    pub(crate) created_at: UnixMillis,
    pub(crate) expires_at: UnixMillis,
    pub(crate) evicted: u32,
    pub(crate) replayed: bool,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(StoreFault),
    Create(CreateFailure),
    CoolDown(UnixMillis),
    RateLimited(UnixMillis),
    Busy,
    InFlight,
    Mismatch,
}

impl<S: SessionStore, P: GuestProvider, C: Clock> App<S, P, C> {
    pub(crate) async fn issue(&self, mut order: Order) -> (Result<Session, Failure>, After) {
        let deadline = self.clock.now().plus(self.rules.deadline_ms);
        let flight = self.new_flight();
        let prepared = self.prepare_early(deadline).await;
        match self.admit(&mut order, &flight).await {
            Ok(None) => {}
            Ok(Some(replayed)) => return (Ok(replayed), After::default()),
            Err(Failure::Store(fault)) => {
                // An answer that was lost may have been leave.
                let lost = matches!(
                    fault,
                    StoreFault::Lost(_) | StoreFault::Unreachable(_) | StoreFault::Unreadable(_)
                );
                let rescue =
                    lost.then(|| Box::new(Rescue::unused(order.device, flight, order.idempotency)));
                return (Err(Failure::Store(fault)), After { rescue, ..After::default() });
            }
            Err(failure) => return (Err(failure), After::default()),
        }
        match self.create(order.routing.as_deref(), deadline, prepared).await {
            Ok(guest) => self.commit(order, flight, guest).await,
            Err(mut failure) => {
                let after = match failure.take_guest() {
                    Some(guest) => {
                        tracing::error!(guest_id = %guest, "a created guest cannot be used and is revoked");
                        self.withdraw(Rescue::created(
                            order.device,
                            flight,
                            order.idempotency,
                            guest,
                        ))
                        .await
                    }
                    None => {
                        let rescue = self.abort(order, flight, failure.may_have_created()).await;
                        After { rescue, ..After::default() }
                    }
                };
                (Err(Failure::Create(failure)), after)
            }
        }
    }

    /// Leave to create a guest (`None`), or the answer that an idempotency key is bound to.
    async fn admit(
        &self,
        order: &mut Order,
        flight: &FlightId,
    ) -> Result<Option<Session>, Failure> {
        loop {
            let admit = Admit {
                device: &order.device,
                flight,
                idempotency: order.idempotency.as_ref(),
                address_hash: order.address_hash.as_deref(),
            };
            match self.store.admit(self.at(), &admit).await.map_err(Failure::Store)? {
                Admission::Granted => return Ok(None),
                Admission::Replay(first) => {
                    if let Some(token) = self.rules.sealer.open(&first.guest, &first.token) {
                        return Ok(Some(Session {
                            guest: first.guest,
                            token,
                            created_at: first.created_at,
                            expires_at: first.expires_at,
                            evicted: first.evicted,
                            replayed: true,
                        }));
                    }
                    tracing::warn!(
                        "an idempotency record was sealed with another key and is replaced"
                    );
                }
                Admission::Unreadable => {}
                Admission::InFlight => return Err(Failure::InFlight),
                Admission::Mismatch => return Err(Failure::Mismatch),
                Admission::CoolDown(until) => {
                    self.note_cool_until(until);
                    return Err(Failure::CoolDown(until));
                }
                Admission::RateLimited(until) => return Err(Failure::RateLimited(until)),
                Admission::Busy => return Err(Failure::Busy),
            }
            match &mut order.idempotency {
                Some(key) if !key.overwrite => key.overwrite = true,
                _ => {
                    let what = "a replay that was to be overwritten".to_owned();
                    return Err(Failure::Store(StoreFault::Unreadable(what)));
                }
            }
        }
    }

    async fn commit(
        &self,
        order: Order,
        flight: FlightId,
        guest: Guest,
    ) -> (Result<Session, Failure>, After) {
        let random = || self.clock.random();
        let outcome = match self.rules.sealer.seal(&guest.id, &guest.token, random) {
            Ok(token) => {
                let commit = Commit {
                    device: &order.device,
                    flight: &flight,
                    guest: &guest.id,
                    token: &token,
                    idempotency: order.idempotency.as_ref(),
                };
                self.store.commit(self.at(), &commit).await
            }
            Err(problem) => Err(StoreFault::Refused(problem.to_owned())),
        };
        match outcome {
            Ok(done) => {
                let session = Session {
                    guest: guest.id,
                    token: guest.token,
                    created_at: done.created_at,
                    expires_at: done.expires_at,
                    evicted: done.evicted,
                    replayed: false,
                };
                let revocations_filed = done.evicted > 0 || done.expired > 0;
                (Ok(session), After { revocations_filed, rescue: None })
            }
            Err(fault) => {
                tracing::error!(guest_id = %guest.id, error = %fault, "a created guest could not be committed");
                let rescue = Rescue::created(order.device, flight, order.idempotency, guest.id);
                // A store that answers can be told; one that cannot be reached would only cost another wait.
                let after = match &fault {
                    StoreFault::Refused(_) | StoreFault::Unreadable(_) => {
                        self.withdraw(rescue).await
                    }
                    StoreFault::Lost(_) | StoreFault::Unreachable(_) => {
                        self.withdraw_directly(rescue).await
                    }
                };
                (Err(Failure::Store(fault)), after)
            }
        }
    }

    /// Ends an admitted create without a session; answers what is left to do where the store did not hear.
    async fn abort(
        &self,
        order: Order,
        flight: FlightId,
        may_have_created: bool,
    ) -> Option<Box<Rescue>> {
        let outcome = if may_have_created { AbortOutcome::Orphaned } else { AbortOutcome::Refused };
        let abort = Abort {
            device: &order.device,
            flight: &flight,
            idempotency: order.idempotency.as_ref(),
            outcome,
        };
        let fault = self.store.abort(self.at(), &abort).await.err()?;
        tracing::warn!(error = %fault, "an admitted create could not be aborted yet");
        let rescue = if may_have_created { Rescue::orphaned } else { Rescue::unused };
        Some(Box::new(rescue(order.device, flight, order.idempotency)))
    }
}

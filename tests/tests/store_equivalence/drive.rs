//! Drives both stores through a history, and compares each answer and all that can be seen afterwards.

use guestpass_core::names::{ClaimId, DeviceKey, FlightId, GuestId};
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{
    Abort, AbortOutcome, Admission, Admit, At, Commit, End, Fate, Idempotency, Job, Limits, Proof,
    RevocationState, Settlement, StoredToken,
};
use guestpass_core::time::UnixMillis;
use guestpass_tests::scene::{LIMITS, device, guest, key, time};
use proptest::test_runner::TestCaseError;

use crate::history::{Action, DEVICES, Key, Step};

/// How far each client's clock is from the true time, in milliseconds.
const SKEWS: [i64; 3] = [0, 7000, -90_000];

/// How far the true time may go back behind the latest that was seen, in milliseconds.
const FURTHEST_BACK: i64 = 1_800_000;

/// Runs a history through both stores.
pub(crate) async fn compare(
    one: &impl SessionStore,
    other: &impl SessionStore,
    history: &[Step],
) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut last: Option<Step> = None;
    for (number, step) in history.iter().enumerate() {
        let step = match (&step.action, &last) {
            (Action::Again, Some(last)) => last.clone(),
            _ => step.clone(),
        };
        world.before(&step.action);
        let (answer, jobs) = world.run(one, &step).await;
        let (second, _) = world.run(other, &step).await;
        let fail = |what: &str, left: &str, right: &str| {
            let text =
                format!("step {number}, {step:?}: {what}\n  embedded: {left}\n  redis:    {right}");
            Err(TestCaseError::fail(text))
        };
        if answer != second {
            return fail("the answers differ", &answer, &second);
        }
        let (left, right) = (world.look(one, &step).await, world.look(other, &step).await);
        if left != right {
            return fail("the states differ", &left, &right);
        }
        if let (Action::Claim { claim, .. }, Some(jobs)) = (&step.action, jobs) {
            world.claimed[*claim] = jobs;
        }
        last = Some(step);
    }
    Ok(())
}

struct World {
    now: i64,
    latest: i64,
    limits: Limits,
    /// What each claim got last.
    claimed: [Vec<Job>; 4],
}

impl World {
    const fn new() -> Self {
        let claimed = [const { Vec::new() }; 4];
        Self { now: 0, latest: 0, limits: LIMITS, claimed }
    }

    /// What changes the world and not the stores.
    fn before(&mut self, action: &Action) {
        match *action {
            Action::Advance { millis } => {
                self.now = (self.now + millis).max(self.latest - FURTHEST_BACK);
                self.latest = self.latest.max(self.now);
            }
            Action::Cap(cap) => self.limits.cap = cap,
            Action::Ttl(millis) => self.limits.ttl_ms = millis,
            Action::MaxAge(millis) => self.limits.max_age_ms = millis,
            Action::Rates(device, address) => {
                self.limits.rate_per_device = device;
                self.limits.rate_per_ip = address;
            }
            _ => {}
        }
    }

    fn now_of(&self, step: &Step) -> UnixMillis {
        time(self.now + SKEWS[step.client])
    }

    /// Does a step to one store, and shows the answer.
    async fn run(&self, store: &impl SessionStore, step: &Step) -> (String, Option<Vec<Job>>) {
        let at = At { now: self.now_of(step), limits: &self.limits };
        let answer = match &step.action {
            Action::Advance { .. }
            | Action::Cap(_)
            | Action::Ttl(_)
            | Action::MaxAge(_)
            | Action::Rates(..)
            | Action::Again => String::new(),
            Action::Admit { flight, key, address } => {
                show_admission(&admit(store, at, *flight, key, *address).await)
            }
            Action::Commit { flight, key } => commit(store, at, *flight, key).await,
            Action::Issue { flight, key } => {
                let admission = admit(store, at, *flight, key, Some(0)).await;
                let granted = admission == Admission::Granted;
                let committed =
                    if granted { commit(store, at, *flight, key).await } else { String::new() };
                show_admission(&admission) + &committed
            }
            Action::Abort { flight, key, outcome } => {
                abort(store, at, *flight, key, *outcome).await
            }
            Action::Renew { flight, right } => {
                let proof = proof_of(*flight, *right);
                show(store.renew(at, &device_of(*flight), &guest_of(*flight), &proof).await)
            }
            Action::EndOne { flight } => {
                show(store.end(at, &device_of(*flight), &End::One(&guest_of(*flight))).await)
            }
            Action::EndOwn { flight, right } => {
                let (guest, proof) = (guest_of(*flight), proof_of(*flight, *right));
                show(store.end(at, &device_of(*flight), &End::Own(&guest, &proof)).await)
            }
            Action::EndAll { device } => show(store.end(at, &device_at(*device), &End::All).await),
            Action::Due { limit } => show(names(store, at, *limit).await),
            Action::Expire { device } => show(store.expire(at, &[device_at(*device)]).await),
            Action::Sweep => {
                let due = store.due(at, 100).await.expect("due");
                show(store.expire(at, &due.devices).await)
            }
            Action::Claim { claim, limit } => {
                let jobs = store.claim(at, &claim_of(*claim), *limit).await.expect("claim");
                return (show(&jobs), Some(jobs));
            }
            Action::Settle { claim, under, fates } => {
                let settlements = self.settlements(at.now, *claim, fates);
                show(store.settle(at, &claim_of(*under), &settlements).await)
            }
            Action::Retry { flight } => show(store.retry(at, &guest_of(*flight)).await),
            Action::Abandon { flight } => show(store.abandon(at, &guest_of(*flight)).await),
            Action::CoolDown { wait } => {
                let until = wait.map(|wait| time(self.now + wait));
                show(store.cool_down(at, until).await)
            }
        };
        (answer, None)
    }

    fn settlements(&self, now: UnixMillis, claim: usize, fates: &[usize]) -> Vec<Settlement> {
        let fate = |number| match number {
            0 => Fate::Revoked,
            1 => Fate::Retry { at: now.plus(2000), error: "503 \"x\" \\ / \u{e9}".to_owned() },
            2 => Fate::Retry { at: now, error: String::new() },
            3 => Fate::Stuck { error: "403".to_owned() },
            _ => Fate::Released { at: now.plus(500) },
        };
        let pairs = self.claimed[claim].iter().zip(fates);
        pairs
            .map(|(job, number)| Settlement {
                guest: job.guest.clone(),
                shard: job.shard,
                fate: fate(*number),
            })
            .collect()
    }

    /// All that can be seen of a store without changing it.
    async fn look(&self, store: &impl SessionStore, step: &Step) -> String {
        let at = At { now: self.now_of(step), limits: &self.limits };
        let mut seen = show(store.stats(at).await);
        for number in 0..DEVICES {
            seen.push_str(&show(store.list(at, &device_at(number)).await));
        }
        for state in [RevocationState::Pending, RevocationState::Stuck] {
            seen.push_str(&show(store.revocations(at, state, 1000).await));
        }
        seen
    }
}

async fn admit(
    store: &impl SessionStore,
    at: At<'_>,
    flight: usize,
    key: &Key,
    address: Option<usize>,
) -> Admission {
    let (device, idempotency) = (device_of(flight), key_of(key));
    let address = address.map(|number| format!("address{number}"));
    let admit = Admit {
        device: &device,
        flight: &flight_of(flight),
        idempotency: idempotency.as_ref(),
        address_hash: address.as_deref(),
    };
    store.admit(at, &admit).await.expect("admit")
}

async fn commit(store: &impl SessionStore, at: At<'_>, flight: usize, key: &Key) -> String {
    let (device, idempotency) = (device_of(flight), key_of(key));
    let commit = Commit {
        device: &device,
        flight: &flight_of(flight),
        guest: &guest_of(flight),
        token: &token_of(flight),
        idempotency: idempotency.as_ref(),
    };
    show(store.commit(at, &commit).await)
}

async fn abort(
    store: &impl SessionStore,
    at: At<'_>,
    flight: usize,
    key: &Key,
    outcome: usize,
) -> String {
    let (device, guest, idempotency) = (device_of(flight), guest_of(flight), key_of(key));
    let outcome = match outcome {
        0 => AbortOutcome::Refused,
        1 => AbortOutcome::Orphaned,
        2 => AbortOutcome::CommitFailed(&guest),
        _ => AbortOutcome::Withdrawn(&guest),
    };
    let abort = Abort {
        device: &device,
        flight: &flight_of(flight),
        idempotency: idempotency.as_ref(),
        outcome,
    };
    show(store.abort(at, &abort).await)
}

/// What `due` answers, with the devices by their names (their Debug shows none).
async fn names(store: &impl SessionStore, at: At<'_>, limit: usize) -> (Vec<String>, u64, u64) {
    let due = store.due(at, limit).await.expect("due");
    let names = due.devices.iter().map(|device| device.as_str().to_owned()).collect();
    (names, due.orphaned, due.set_aside)
}

/// An admission with the token that it replays, which its Debug does not show.
fn show_admission(admission: &Admission) -> String {
    match admission {
        Admission::Replay(issued) => format!("{admission:?} {}", issued.token.text.expose()),
        _ => show(admission),
    }
}

fn show(answer: impl std::fmt::Debug) -> String {
    format!("{answer:?}")
}

fn flight_of(number: usize) -> FlightId {
    FlightId::from_random((number as u128).to_be_bytes())
}

fn claim_of(number: usize) -> ClaimId {
    ClaimId::from_random((number as u128).to_be_bytes())
}

fn device_at(number: usize) -> DeviceKey {
    device(&number.to_string())
}

fn device_of(flight: usize) -> DeviceKey {
    device_at(flight % DEVICES)
}

fn guest_of(flight: usize) -> GuestId {
    guest(&format!("g{flight:02}"))
}

fn key_of(chosen: &Key) -> Option<Idempotency> {
    let keyed = |&(number, body, overwrite): &(usize, usize, bool)| Idempotency {
        overwrite,
        ..key(&format!("key{number}"), &format!("body{body}"))
    };
    chosen.as_ref().map(keyed)
}

/// Every other token is sealed.
fn token_of(flight: usize) -> StoredToken {
    let sha256 = flight.is_multiple_of(2).then(|| format!("hash{flight}"));
    StoredToken { text: Secret::new(format!("token{flight}\"\\\u{e9}")), sha256 }
}

fn proof_of(flight: usize, right: bool) -> Proof {
    let flight = if right { flight } else { flight + 1 };
    Proof {
        token: Secret::new(format!("token{flight}\"\\\u{e9}")),
        sha256: format!("hash{flight}"),
    }
}

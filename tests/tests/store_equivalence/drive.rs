//! Drives stores through a history, and compares each answer and all that can be seen afterwards.

use guestpass_core::names::ClaimId;
use guestpass_core::seams::SessionStore;
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::ops::{
    Admission, At, End, Fate, Job, Limits, RevocationState, Settlement,
};
use guestpass_core::store::redis::RedisStore;
use guestpass_core::time::UnixMillis;
use guestpass_server::kv::RedisKv;
use guestpass_tests::door::RestStore;
use guestpass_tests::scene::{LIMITS, time};
use proptest::test_runner::TestCaseError;

use crate::history::{Action, DEVICES, Step};
use crate::words::{
    abort, admit, commit, device_at, device_of, guest_of, names, proof_of, show, show_admission,
};

/// How far each client's clock is from the true time, in milliseconds.
const SKEWS: [i64; 3] = [0, 7000, -90_000];

/// How far the true time may go back behind the latest that was seen, in milliseconds.
const FURTHEST_BACK: i64 = 1_800_000;

/// A store with the name by which a difference is reported.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) store: Store,
}

pub(crate) enum Store {
    Embedded(EmbeddedStore),
    Redis(RedisStore<RedisKv>),
    Rest(RestStore),
}

/// Whether stores of several shards are among those that are compared. What is a matter of one shard then
/// stays out of histories: how a claim fills up to its limit, and an address's rate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shards {
    One,
    Several,
}

/// Runs a history through all stores.
pub(crate) async fn compare(
    stores: &[Named],
    shards: Shards,
    history: &[Step],
) -> Result<(), TestCaseError> {
    let mut world = World::new(shards);
    let mut last: Option<Step> = None;
    for (number, step) in history.iter().enumerate() {
        let repeats = matches!((&step.action, &last), (Action::Again, Some(_)));
        let step = match &last {
            Some(last) if repeats => last.clone(),
            _ => step.clone(),
        };
        world.before(&step.action);
        if let (Action::Claim { claim, .. }, false) = (&step.action, repeats) {
            world.claims[*claim] = number;
        }
        let (mut answers, mut claimed) = (Vec::new(), Vec::new());
        for Named { store, .. } in stores {
            let slot = claimed.len();
            let (answer, jobs) = match store {
                Store::Embedded(store) => world.run(store, slot, &step).await,
                Store::Redis(store) => world.run(store, slot, &step).await,
                Store::Rest(store) => world.run(store, slot, &step).await,
            };
            answers.push(answer);
            claimed.push(jobs);
        }
        alike(stores, &answers, "answers", number, &step)?;
        let mut looks = Vec::new();
        for Named { store, .. } in stores {
            looks.push(match store {
                Store::Embedded(store) => world.look(store, &step).await,
                Store::Redis(store) => world.look(store, &step).await,
                Store::Rest(store) => world.look(store, &step).await,
            });
        }
        alike(stores, &looks, "states", number, &step)?;
        if let Action::Claim { claim, .. } = &step.action {
            world.claimed[*claim] = claimed.into_iter().map(Option::unwrap_or_default).collect();
        }
        last = Some(step);
    }
    Ok(())
}

fn alike(
    stores: &[Named],
    seen: &[String],
    what: &str,
    number: usize,
    step: &Step,
) -> Result<(), TestCaseError> {
    if seen.iter().all(|one| *one == seen[0]) {
        return Ok(());
    }
    let lines =
        stores.iter().zip(seen).map(|(Named { name, .. }, seen)| format!("\n  {name}: {seen}"));
    let lines: String = lines.collect();
    Err(TestCaseError::fail(format!("step {number}, {step:?}: the {what} differ{lines}")))
}

struct World {
    now: i64,
    latest: i64,
    limits: Limits,
    shards: Shards,
    /// What each claim got last, from each store: jobs know their shard.
    claimed: [Vec<Vec<Job>>; 4],
    /// The step at which each claim was made last.
    claims: [usize; 4],
}

impl World {
    const fn new(shards: Shards) -> Self {
        let claimed = [const { Vec::new() }; 4];
        Self { now: 0, latest: 0, limits: LIMITS, shards, claimed, claims: [0; 4] }
    }

    /// The id of a claim. Where shards are claimed from one by one, one id for two claims would get what the
    /// first got from one shard, and what is new from another: no sweeper makes such a claim.
    fn claim_id(&self, claim: usize) -> ClaimId {
        let number = if self.shards == Shards::One { claim } else { 100 + self.claims[claim] };
        ClaimId::from_random((number as u128).to_be_bytes())
    }

    fn address(&self, address: Option<usize>) -> Option<usize> {
        address.filter(|_| self.shards == Shards::One)
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
    async fn run(
        &self,
        store: &impl SessionStore,
        slot: usize,
        step: &Step,
    ) -> (String, Option<Vec<Job>>) {
        let at = At { now: self.now_of(step), limits: &self.limits };
        let who = step.client;
        let answer = match &step.action {
            Action::Advance { .. }
            | Action::Cap(_)
            | Action::Ttl(_)
            | Action::MaxAge(_)
            | Action::Rates(..)
            | Action::Again => String::new(),
            Action::Admit { flight, key, address } => {
                let address = self.address(*address);
                show_admission(&admit(store, at, who, *flight, key, address).await)
            }
            Action::Commit { flight, key } => commit(store, at, who, *flight, key).await,
            Action::Issue { flight, key } => {
                let admission = admit(store, at, who, *flight, key, self.address(Some(0))).await;
                let granted = admission == Admission::Granted;
                let committed = if granted {
                    commit(store, at, who, *flight, key).await
                } else {
                    String::new()
                };
                show_admission(&admission) + &committed
            }
            Action::Abort { flight, key, outcome } => {
                abort(store, at, who, *flight, key, *outcome).await
            }
            Action::Renew { flight, right } => {
                let proof = proof_of(*flight, *right);
                show(store.renew(at, &device_of(who, *flight), &guest_of(*flight), &proof).await)
            }
            Action::EndOne { flight } => {
                show(store.end(at, &device_of(who, *flight), &End::One(&guest_of(*flight))).await)
            }
            Action::EndOwn { flight, right } => {
                let (guest, proof) = (guest_of(*flight), proof_of(*flight, *right));
                show(store.end(at, &device_of(who, *flight), &End::Own(&guest, &proof)).await)
            }
            Action::EndAll { device } => {
                show(store.end(at, &device_at(who, *device), &End::All).await)
            }
            Action::Due { limit } => show(names(store, at, *limit).await),
            Action::Expire { device } => show(store.expire(at, &[device_at(who, *device)]).await),
            Action::Sweep => {
                let due = store.due(at, 100).await.expect("due");
                show(store.expire(at, &due.devices).await)
            }
            Action::Claim { claim, limit } => {
                let limit = if self.shards == Shards::One { *limit } else { 1000 };
                let mut jobs = store.claim(at, &self.claim_id(*claim), limit).await.expect("claim");
                if self.shards == Shards::Several {
                    jobs.sort_by(|one, other| one.guest.cmp(&other.guest));
                }
                let seen: Vec<_> = jobs.iter().map(|job| (&job.guest, job.attempts)).collect();
                return (show(seen), Some(jobs));
            }
            Action::Settle { claim, under, fates } => {
                let settlements = self.settlements(at.now, *claim, slot, fates);
                show(store.settle(at, &self.claim_id(*under), &settlements).await)
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

    fn settlements(
        &self,
        now: UnixMillis,
        claim: usize,
        slot: usize,
        fates: &[usize],
    ) -> Vec<Settlement> {
        let fate = |number| match number {
            0 => Fate::Revoked,
            1 => Fate::Retry { at: now.plus(2000), error: "503 \"x\" \\ / \u{e9}".to_owned() },
            2 => Fate::Retry { at: now, error: String::new() },
            3 => Fate::Stuck { error: "403".to_owned() },
            _ => Fate::Released { at: now.plus(500) },
        };
        let pairs = self.claimed[claim].get(slot).into_iter().flatten().zip(fates);
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
            seen.push_str(&show(store.list(at, &device_at(step.client, number)).await));
        }
        for state in [RevocationState::Pending, RevocationState::Stuck] {
            seen.push_str(&show(store.revocations(at, state, 1000).await));
        }
        seen
    }
}

//! Accounting (P2, P3): origins are killed at random moments under a load of all calls; then the store's books and
//! the simulator's ledger must balance.
//!
//! `PROOF_ROUNDS` is how many rounds there are, `PROOF_SEED` the seed of the first; each that fails says how to have
//! it again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::run;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms, pause};
use guestpass_tests::world::{Dice, World};

use crate::books::{Books, PREFIX};
use crate::forms::{number, seed};
use crate::visitors::{Call, Load, Log, Plan};

/// Rounds at once.
const LANES: usize = 5;
/// How long a request may work on Genesys, in milliseconds.
const DEADLINE_MS: u64 = 1500;
/// How long a place in flight lasts, in milliseconds.
const FLIGHT_MS: u64 = DEADLINE_MS + 5000;
/// How far clocks and pipes may blur when a create was under way, in milliseconds.
const BLUR_MS: u64 = 500;

/// What rounds have shown.
#[derive(Debug, Default)]
struct Shown {
    guests: usize,
    tracked: usize,
    in_flight: usize,
    orphaned: u64,
    strays: usize,
    revoked: u64,
    stuck: usize,
    abandoned: usize,
}

#[test]
fn the_books_balance_however_processes_are_killed() {
    let rounds = number("PROOF_ROUNDS").unwrap_or(5);
    let first = seed();
    let seeds = Mutex::new(first..first + rounds);
    let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        let rounds = std::iter::from_fn(next).map(|seed| {
            let again = format!("PROOF_SEED={seed} PROOF_ROUNDS=1");
            let shown = catch_unwind(|| run(round(seed)));
            println!("{again}: {shown:?}");
            shown.unwrap_or_else(|_| panic!("failed with {again}"))
        });
        rounds.collect::<Vec<_>>()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("every round succeeds")).collect()
    });
    let mut sum = Shown::default();
    for shown in &all {
        sum.guests += shown.guests;
        sum.tracked += shown.tracked;
        sum.in_flight += shown.in_flight;
        sum.orphaned += shown.orphaned;
        sum.strays += shown.strays;
        sum.revoked += shown.revoked;
        sum.stuck += shown.stuck;
        sum.abandoned += shown.abandoned;
    }
    println!("{} rounds together: {sum:?}", all.len());
    assert!(rounds < 5 || sum.in_flight > 0, "no kill hit a create");
}

/// What the processes of a round have in common.
struct Scene {
    world: World,
    ttl: String,
    cap: String,
    sweep_ms: String,
    revoke_attempts: String,
}

impl Scene {
    async fn new(dice: &mut Dice) -> Self {
        let world = World::new().await;
        world.sim.set_latency(5 + dice.below(40), 5 + dice.below(40), 0);
        Self {
            world,
            ttl: if dice.below(2) == 0 { "2" } else { "3600" }.to_owned(),
            cap: (1 + dice.below(4)).to_string(),
            sweep_ms: (50 + dice.below(300)).to_string(),
            // Revocations that fail are stuck at once, or tried again.
            revoke_attempts: (1 + dice.below(2)).to_string(),
        }
    }

    async fn origin(&self, at: Option<SocketAddr>) -> Origin {
        let (url, deadline) = (self.world.redis.url(), DEADLINE_MS.to_string());
        let settings = [
            ("REDIS_URL", url.as_str()),
            ("REQUEST_DEADLINE_MS", &deadline),
            ("REVOKE_LEASE_MS", "1500"),
            ("REVOKE_MAX_ATTEMPTS", &self.revoke_attempts),
            ("SESSION_TTL_SECONDS", &self.ttl),
            ("MAX_SESSIONS_PER_DEVICE", &self.cap),
            ("SWEEP_INTERVAL_MS", &self.sweep_ms),
            ("LOG_LEVEL", "info"),
        ];
        let sim = &self.world.sim;
        match at {
            None => Origin::start(sim, &settings).await,
            Some(addr) => Origin::start_at(addr, sim, &settings).await.expect("its port is free"),
        }
    }

    /// Some of the next revocations fail, in every way that leaves a doubt.
    fn trouble(&self, dice: &mut Dice) {
        let status = |code| Effect::Status { code, retry_after: None, body: None };
        for effect in
            [status(500), Effect::ResetBefore, Effect::ResetAfter, Effect::CutBody, status(403)]
        {
            let times = u32::try_from(1 + dice.below(4)).expect("a small number");
            self.world.sim.fault(Fault::times(On::Invalidate, times, effect));
        }
    }

    fn flights(&self) -> BTreeSet<String> {
        self.world.redis.query(&["ZRANGE", &format!("{PREFIX}:flights"), "0", "-1"])
    }

    fn books(&self) -> Books {
        Books::of([&self.world.redis], PREFIX)
    }
}

async fn round(seed: u64) -> Shown {
    let mut dice = Dice::seeded(seed);
    let scene = Scene::new(&mut dice).await;
    let mut origins = vec![scene.origin(None).await];
    if dice.below(2) == 0 {
        origins.push(scene.origin(None).await);
    }
    let hosts: Vec<_> = origins.iter().map(|origin| origin.addr).collect();
    let load = Load::begin(&hosts, Plan::on("accounting", 5, 10, ms(4)), dice.split());
    eventually("sessions are issued", ms(20_000), async || {
        (load.answers(Call::Issue, 201, 0) > 10).then_some(())
    })
    .await;
    // Creates in flight at the kills, those of a process that goes on among them.
    let (mut kills, mut in_flight) = (Vec::new(), BTreeSet::new());
    for _ in 0..1 + dice.below(2) {
        scene.trouble(&mut dice);
        pause(ms(50 + dice.below(500))).await;
        let at = usize::try_from(dice.below(origins.len() as u64)).expect("a small number");
        let victim = origins.swap_remove(at);
        let (addr, began) = (victim.addr, now_ms());
        victim.kill().await;
        kills.push((began, now_ms()));
        in_flight.extend(scene.flights());
        pause(ms(dice.below(300))).await;
        origins.push(scene.origin(Some(addr)).await);
    }
    pause(ms(100 + dice.below(300))).await;
    scene.trouble(&mut dice);
    let log = load.end().await;
    // Everything is answered: what is in flight now was left behind, unless the first may have run out.
    let left = scene.flights();
    if now_ms() < kills[0].0 + FLIGHT_MS {
        in_flight.retain(|flight| left.contains(flight));
    }
    let books = eventually("nothing is under way", ms(40_000), async || {
        Some(scene.books()).filter(Books::is_at_rest)
    })
    .await;
    log.print(&format!("round {seed}"));
    balance(&scene, &log, &books, in_flight.len(), &kills)
}

fn balance(
    scene: &Scene,
    log: &Log,
    books: &Books,
    in_flight: usize,
    kills: &[(u64, u64)],
) -> Shown {
    let sim = &scene.world.sim;
    let cap = scene.cap.parse().expect("a number");
    let balance = books.must_balance(sim, log, cap);
    let orphaned = books.counter("orphaned");
    // Those that took too long, on a slow machine, may have made a guest as well.
    let late = log.answers(Call::Issue, 504, 0);
    assert!(
        orphaned <= (in_flight + late) as u64,
        "{orphaned} orphans, {in_flight} creates in flight, {late} late"
    );
    let creates = sim.calls_of(CallKind::Create);
    for stray in &balance.strays {
        let create = creates.iter().find(|create| create.guest_id.as_ref() == Some(stray));
        let at = create.expect("every guest has its create").at_ms;
        let is_near = |&(began, ended): &(u64, u64)| {
            (began.saturating_sub(DEADLINE_MS + BLUR_MS)..ended + BLUR_MS).contains(&at)
        };
        assert!(
            late > 0 || kills.iter().any(is_near),
            "{stray} was created at {at}, the kills were {kills:?}"
        );
    }
    // What left a device was filed once, and what was filed was revoked or is still known.
    let count = |name| books.counter(name);
    let left = count("evicted") + count("ended") + count("expired");
    assert_eq!(count("issued"), books.tracked.len() as u64 + left, "{:?}", books.counters);
    let settled = count("revoked") + count("abandoned") + books.stuck.len() as u64;
    assert_eq!(left, settled, "{:?}, {} stuck", books.counters, books.stuck.len());
    let gone = sim.guests().len() - sim.live_guests().len();
    assert!(count("revoked") <= gone as u64, "{:?}, {gone} gone", books.counters);
    Shown {
        guests: sim.guests().len(),
        tracked: books.tracked.len(),
        in_flight,
        orphaned,
        strays: balance.strays.len(),
        revoked: count("revoked"),
        stuck: books.stuck.len(),
        abandoned: log.abandoned.len(),
    }
}

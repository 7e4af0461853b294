//! Faults of Redis under load. While one lasts, callers are told 503 and when to come again, or are served; no guest
//! is created without leave, and no device has more sessions than its cap. Afterwards all is normal soon, with the
//! same process.
//!
//! `PROOF_LONG=1` makes faults last ten seconds, and demands that all is normal within five.

use genesys_sim::{CallKind, Sim, SimConfig};
use guestpass_tests::host::{Settings, run, start_sim};
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::{ms, now_ms, pause};
use guestpass_tests::world::Dice;

use crate::books::{Balance, Books, PREFIX};
use crate::forms::{is_long, seed};
use crate::tcp_proxy::TcpProxy;
use crate::visitors::{Call, Load, Log, Plan};

pub(crate) const CAP: usize = 3;
pub(crate) const SETTINGS: Settings<'_> = &[
    ("REQUEST_DEADLINE_MS", "5000"),
    ("REVOKE_LEASE_MS", "3000"),
    ("SWEEP_INTERVAL_MS", "200"),
    ("LOG_LEVEL", "error"),
];
/// All is normal when nobody was refused for so long.
const CALM_MS: u64 = 2000;

/// How long a fault lasts, in milliseconds.
pub(crate) fn lasts_ms() -> u64 {
    if is_long() { 10_000 } else { 3000 }
}

/// An origin under load, with a proxy between it and its Redis.
struct Scene {
    redis: RedisServer,
    sim: Sim,
    proxy: TcpProxy,
    origin: Origin,
    load: Load,
}

impl Scene {
    async fn begin(redis: RedisServer) -> Self {
        let sim = start_sim(SimConfig::default()).await;
        // Long enough for some creates to be under way when a fault begins.
        sim.set_latency(60, 10, 0);
        let proxy = TcpProxy::before(redis.port()).await;
        let url = proxy.url();
        let origin = Origin::start(&sim, &[&[("REDIS_URL", &url[..])], SETTINGS].concat()).await;
        let load = begin_load(&origin).await;
        Self { redis, sim, proxy, origin, load }
    }

    /// The fault has ended: all must be normal soon. `keeps_all`: nothing that was acknowledged was lost.
    async fn end(self, what: &str, fault: Fault, keeps_all: bool) -> (Log, Balance) {
        let log = back_to_normal(what, self.load, fault).await;
        let creates = self.sim.count(CallKind::Create);
        let leaves = self.proxy.leaves();
        println!("  {creates} creates, {leaves} leaves");
        assert!(creates <= leaves, "{creates} creates with {leaves} leaves");
        let balance = settled([&self.redis].as_slice(), &self.sim, &log, keeps_all).await;
        drop(self.origin);
        (log, balance)
    }
}

pub(crate) async fn begin_load(origin: &Origin) -> Load {
    let plan = Plan { cap: CAP, ..Plan::on("redis", 12, 16, ms(60)) };
    let load = Load::begin(&[origin.addr], plan, Dice::seeded(seed()));
    eventually("sessions are issued", ms(20_000), async || {
        (load.answers(Call::Issue, 201, 0) > 50).then_some(())
    })
    .await;
    load
}

/// When a fault began and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// Waits until all is normal, ends the load, and checks every answer.
pub(crate) async fn back_to_normal(what: &str, load: Load, fault: Fault) -> Log {
    let Fault { began, ended } = fault;
    eventually("all is normal", ms(30_000), async || {
        let calm_since = now_ms() - CALM_MS;
        let is_calm = load.last_told("store_unavailable").is_none_or(|last| last < calm_since);
        let is_served = load.answers(Call::Issue, 201, calm_since.max(ended)) > 20;
        (calm_since > ended && is_calm && is_served).then_some(())
    })
    .await;
    let last = load.last_told("store_unavailable").unwrap_or_default();
    let log = load.end().await;
    log.print(what);
    let normal_after = last.saturating_sub(ended);
    println!("  the fault lasted {} ms; normal {normal_after} ms later", ended - began);
    assert!(normal_after <= if is_long() { 5000 } else { 15_000 }, "normal after {normal_after}");
    for entry in &log.entries {
        let is_fine = match (entry.status, entry.code.as_str()) {
            (503, code) => code == "store_unavailable" && entry.sent_ms >= began - 5000,
            (429, code) => code == "device_busy",
            (status, _) => matches!(status, 200..300 | 404 | 409),
        };
        assert!(is_fine, "{entry:?} while the fault was {fault:?}");
    }
    log
}

/// Waits until nothing is under way, and the books are in order.
pub(crate) async fn settled(
    servers: &[&RedisServer],
    sim: &Sim,
    log: &Log,
    keeps_all: bool,
) -> Balance {
    let read = || Books::of(servers.iter().copied(), PREFIX);
    let mut books = eventually("nothing is under way", ms(60_000), async || {
        Some(read()).filter(Books::is_at_rest)
    })
    .await;
    let mut balance = books.compare(sim, log, CAP);
    if keeps_all {
        // Whoever could not tell Redis of a guest goes on trying, every five seconds at the latest.
        let give_up = now_ms() + 20_000;
        while now_ms() < give_up && !(balance.dead.is_empty() && balance.strays.is_empty()) {
            pause(ms(100)).await;
            books = read();
            balance = books.compare(sim, log, CAP);
        }
        books.must_balance(sim, log, CAP);
        // Genesys has answered every create, and no process has died.
        assert!(balance.strays.is_empty(), "known, and then lost: {:?}", balance.strays);
    }
    assert!(balance.crowded.is_empty(), "{:?}", balance.crowded);
    println!(
        "  {} guests: {} tracked, {} stuck, {} orphaned; {} strays, {} of them answered, {} dead",
        sim.guests().len(),
        books.tracked.len(),
        books.stuck.len(),
        books.counter("orphaned"),
        balance.strays.len(),
        balance.lost.len(),
        balance.dead.len()
    );
    balance
}

fn was_refused(log: &Log, fault: Fault) {
    let refused = log.entries.iter().any(|entry| {
        entry.code == "store_unavailable" && (fault.began..fault.ended).contains(&entry.sent_ms)
    });
    assert!(refused, "nobody noticed the fault");
}

#[test]
fn a_restart_that_keeps_the_data_loses_nothing() {
    run(async {
        let mut scene = Scene::begin(RedisServer::start_appendonly()).await;
        let began = now_ms();
        scene.redis.kill_hard();
        pause(ms(lasts_ms() / 2)).await;
        scene.redis.restart();
        let fault = Fault { began, ended: now_ms() };
        let (log, _) = scene.end("restart with persistence", fault, true).await;
        was_refused(&log, fault);
    });
}

#[test]
fn a_restart_that_loses_the_data_begins_anew() {
    run(async {
        let mut scene = Scene::begin(RedisServer::start()).await;
        let began = now_ms();
        scene.redis.kill_hard();
        pause(ms(lasts_ms() / 2)).await;
        scene.redis.restart();
        let fault = Fault { began, ended: now_ms() };
        let sim = scene.sim.clone();
        let (log, balance) = scene.end("restart without persistence", fault, false).await;
        was_refused(&log, fault);
        assert!(balance.dead.is_empty());
        // What was lost is what was there; whatever came afterwards is accounted for.
        let late = sim
            .guests()
            .into_iter()
            .find(|guest| balance.strays.contains(&guest.id) && guest.created_at_ms > fault.ended);
        assert!(late.is_none(), "created afterwards, and lost: {late:?}");
    });
}

#[test]
fn a_redis_that_stands_still_is_waited_for_no_longer_than_a_deadline() {
    run(async {
        let scene = Scene::begin(RedisServer::start()).await;
        let began = now_ms();
        scene.redis.pause();
        pause(ms(lasts_ms())).await;
        scene.redis.resume();
        let fault = Fault { began, ended: now_ms() };
        let (log, _) = scene.end("SIGSTOP", fault, true).await;
        was_refused(&log, fault);
    });
}

#[test]
fn paused_clients_are_told_so() {
    run(async {
        let scene = Scene::begin(RedisServer::start()).await;
        let began = now_ms();
        let lasts = lasts_ms();
        scene.redis.query::<()>(&["CLIENT", "PAUSE", &lasts.to_string(), "ALL"]);
        pause(ms(lasts)).await;
        let fault = Fault { began, ended: now_ms() };
        let (log, _) = scene.end("CLIENT PAUSE", fault, true).await;
        was_refused(&log, fault);
    });
}

#[test]
fn a_full_redis_gives_no_leave_and_lets_go_of_what_it_has() {
    run(async {
        let scene = Scene::begin(RedisServer::start()).await;
        let began = now_ms();
        scene.redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
        // Creates that were admitted before are under way.
        pause(ms(1000)).await;
        let creates = scene.sim.count(CallKind::Create);
        pause(ms(lasts_ms())).await;
        assert_eq!(scene.sim.count(CallKind::Create), creates, "created without memory");
        eventually("revocations need no memory", ms(10_000), async || {
            let pending: u64 = scene.redis.query(&["ZCARD", "msg:guest::outbox"]);
            (pending == 0).then_some(())
        })
        .await;
        scene.redis.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
        let fault = Fault { began, ended: now_ms() };
        let (log, _) = scene.end("maxmemory", fault, true).await;
        was_refused(&log, fault);
        let ends: Vec<_> = log
            .entries
            .iter()
            .filter(|entry| {
                let is_end = matches!(entry.call, Call::End | Call::EndAll);
                is_end && (fault.began..fault.ended).contains(&entry.sent_ms)
            })
            .collect();
        assert!(ends.len() > 10, "{} tried to end sessions", ends.len());
        let refused = ends.iter().find(|entry| entry.status == 503);
        assert!(refused.is_none(), "{refused:?}");
    });
}

#[test]
fn connections_that_are_reset_are_made_again() {
    run(async {
        let scene = Scene::begin(RedisServer::start()).await;
        let (began, mut dice) = (now_ms(), Dice::seeded(seed()));
        while now_ms() < began + lasts_ms() {
            scene.proxy.reset_all();
            pause(ms(20 + dice.below(200))).await;
        }
        let fault = Fault { began, ended: now_ms() };
        println!("{} connections were reset", scene.proxy.broken());
        assert!(scene.proxy.broken() > 10);
        scene.end("connection resets", fault, true).await;
    });
}

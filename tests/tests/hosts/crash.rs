//! P2 and P3 at the edge: workerd is killed at random moments, and nothing is lost.
//!
//! `EDGE_ROUNDS` sets how many rounds, `EDGE_SEED` repeats one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{OPERATOR, Settings, issue, run, sessions};
use guestpass_tests::http_client::Request;
use guestpass_tests::http_suite::Session;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms, pause};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Dice, UNSWEPT, World};

/// Devices of one round: places of creates that were killed keep a device busy through the next ones.
const DEVICES: u64 = 8;
const CLIENTS: u64 = 12;

const SETTINGS: Settings<'_> = &[("REQUEST_DEADLINE_MS", "4000"), ("REVOKE_LEASE_MS", "2000")];

/// What the clients were told.
#[derive(Default)]
struct Told {
    guests: BTreeSet<String>,
    /// Creates whose answer was lost or late, and that clients know of.
    unclear: u64,
}

fn name(round: u64, n: u64) -> String {
    format!("crash-device-{round}-{n}")
}

/// Issues, renews and ends sessions until workerd is gone.
async fn load(addr: SocketAddr, round: u64, mut dice: Dice, told: Arc<Mutex<Told>>) {
    let mut last: Option<(String, Session)> = None;
    loop {
        let device = name(round, dice.below(DEVICES));
        let request = match (dice.below(12), &last) {
            (0, _) => Request::new("DELETE", &sessions(&device)).bearer(OPERATOR),
            (1 | 2, Some((device, session))) => {
                crate::world::own("POST", device, session, "/renew")
            }
            (3, Some((device, session))) => crate::world::own("DELETE", device, session, ""),
            _ => issue(&device),
        };
        let Ok(reply) = request.try_send(addr).await else { return };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        match reply.status {
            201 => {
                let session = Session::of(&reply);
                told.guests.insert(session.guest_id.clone());
                last = Some((device, session));
            }
            // 404: evicted or ended meanwhile.
            200 | 202 | 404 | 429 => {}
            // The machine is slow.
            502..=504 => told.unclear += 1,
            _ => panic!("{reply:?}"),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_guest_is_lost_when_workerd_is_killed_at_any_moment() {
    run(async {
        let rounds = setting("EDGE_ROUNDS").unwrap_or(5);
        let seed = setting("EDGE_SEED").unwrap_or_else(now_ms);
        println!("EDGE_SEED={seed} EDGE_ROUNDS={rounds}");
        let mut dice = Dice::seeded(seed);
        let world = World::new().await;
        let door = world.origin(&[UNSWEPT]).await;
        world.sim.set_latency(15, 15, 0);
        let told = Arc::new(Mutex::new(Told::default()));
        // Places in flight that a killed workerd left behind; each counts at most one orphan.
        let mut left_behind = BTreeSet::new();
        for round in 0..rounds {
            let edge = world.edge(&door, SETTINGS).await;
            left_behind.extend(world.in_flight());
            let refusal = Effect::Status { code: 500, retry_after: None, body: None };
            world.sim.fault(Fault::times(On::Invalidate, 3, refusal));
            world.sim.fault(Fault::times(On::Invalidate, 3, Effect::ResetBefore));
            world.sim.fault(Fault::times(On::Invalidate, 3, Effect::ResetAfter));
            let before = world.sim.count(CallKind::Create);
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| tokio::spawn(load(edge.addr, round, dice.split(), told.clone())))
                .collect();
            let (creates, more) = (dice.below(40) as usize, dice.below(40));
            eventually("the load runs", ms(20_000), async || {
                (world.sim.count(CallKind::Create) >= before + creates).then_some(())
            })
            .await;
            pause(ms(more)).await;
            edge.kill().await;
            for client in clients {
                client.await.expect("the load is answered as it should be");
            }
        }
        // Whatever the last round sent has arrived once the next workerd has started.
        let _sweeping = world.edge(&door, SETTINGS).await;
        left_behind.extend(world.in_flight());
        println!(
            "{} guests, {} creates in flight at the kills, {} revocations pending after the last",
            world.sim.guests().len(),
            left_behind.len(),
            world.to_be_revoked().len(),
        );
        // Else the last guests could meet all the faults that are left, and wait for minutes.
        world.sim.clear_faults();
        world.at_rest().await;
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        balance(&world, rounds, &told, left_behind.len() as u64);
    });
}

/// The simulator's ledger against what is known of its guests.
fn balance(world: &World, rounds: u64, told: &Told, in_flight: u64) {
    let devices = (0..rounds).flat_map(|round| (0..DEVICES).map(move |n| name(round, n)));
    let per_device: Vec<_> = devices.map(|device| world.tracked(&device)).collect();
    assert!(per_device.iter().all(|guests| guests.len() <= 3), "over the cap");
    let tracked: BTreeSet<_> = per_device.into_iter().flatten().collect();
    let alive = world.alive();
    let dead: Vec<_> = tracked.difference(&alive).collect();
    assert!(dead.is_empty(), "revoked, yet in a device's set: {dead:?}");
    // At rest nothing is pending: a guest lives in its set, is stuck, or is revoked.
    let known: BTreeSet<_> = tracked.union(&world.to_be_revoked()).cloned().collect();
    let lost: BTreeSet<_> = alive.difference(&known).cloned().collect();
    let forgotten: Vec<_> = lost.intersection(&told.guests).collect();
    assert!(forgotten.is_empty(), "a client was given these, and they are lost: {forgotten:?}");
    let orphaned = world.counter("orphaned");
    let lost = lost.len() as u64;
    assert!(lost <= orphaned, "{lost} guests are lost, {orphaned} counted");
    let explained = in_flight + told.unclear;
    assert!(orphaned <= explained, "{orphaned} orphaned, but {explained} were in flight");
    let guests = world.sim.guests().len();
    assert!(told.guests.len() as u64 >= 5 * rounds, "{} of {guests}: no load", told.guests.len());
    println!("{guests} guests: {} live, {lost} lost, {orphaned} orphaned", alive.len());
}

#[test]
fn a_guest_whose_client_vanished_is_committed_or_revoked() {
    run(async {
        let world = World::new().await;
        let door = world.origin(&[UNSWEPT]).await;
        let edge = world.edge_without_cron(&door, &[]).await;
        world.sim.set_latency(400, 0, 0);
        for n in 1..=4 {
            let mut client = TcpStream::connect(edge.addr).await.expect("it listens");
            client.write_all(&issue("vanished-device").bytes()).await.expect("it reads");
            if n % 2 == 0 {
                // The end comes as a reset instead of a FIN.
                client.set_zero_linger().expect("a socket option");
            }
            eventually("the create is under way", ms(10_000), async || {
                (world.sim.count(CallKind::Create) == n).then_some(())
            })
            .await;
            assert_eq!(world.sim.guests().len(), n - 1, "it vanishes in mid-request");
            drop(client);
            eventually("the guest is made and committed", ms(10_000), async || {
                (world.counter("issued") == n as u64).then_some(())
            })
            .await;
        }
        world.at_rest().await;
        assert_eq!(world.sim.guests().len(), 4);
        assert_eq!(world.alive(), world.tracked("vanished-device").into_iter().collect());
        assert_eq!((world.counter("orphaned"), world.counter("revoked")), (0, 1));
    });
}

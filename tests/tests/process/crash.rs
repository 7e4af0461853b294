//! Processes that end, well or badly, and clients that vanish: nothing is lost (P2).

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{issue, run};
use guestpass_tests::http_suite::Session;
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::wait::{ms, now_ms, pause};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Dice, World, end_all, issued};

const ROUNDS: u64 = 6;
/// Devices of one round: places of creates that were killed keep a device busy through the next ones.
const DEVICES: u64 = 8;

fn name(n: u64) -> String {
    format!("crash-device-{n}")
}

/// Issues and ends sessions until the process is gone.
async fn load(addr: std::net::SocketAddr, round: u64, mut dice: Dice) {
    loop {
        let device = name(round * DEVICES + dice.below(DEVICES));
        let request = if dice.below(12) == 0 { end_all(&device) } else { issue(&device) };
        match request.try_send(addr).await {
            Ok(reply) if matches!(reply.status, 201 | 202) => {}
            // Busy, or late because the machine is slow.
            Ok(reply) if matches!(reply.status, 429 | 503 | 504) => pause(ms(5)).await,
            Ok(reply) => panic!("{reply:?}"),
            Err(_) => return,
        }
    }
}

#[test]
fn no_guest_is_lost_when_the_process_is_killed_at_any_moment() {
    run(async {
        let world = World::new().await;
        let settings = [
            ("REQUEST_DEADLINE_MS", "300"),
            ("REVOKE_LEASE_MS", "1000"),
            ("SWEEP_INTERVAL_MS", "100"),
        ];
        world.sim.set_latency(15, 15, 0);
        let mut dice = crate::world::dice();
        for round in 0..ROUNDS {
            let origin = world.origin(&settings).await;
            let refusal = Effect::Status { code: 500, retry_after: None, body: None };
            world.sim.fault(Fault::times(On::Invalidate, 3, refusal));
            world.sim.fault(Fault::times(On::Invalidate, 3, Effect::ResetBefore));
            let clients: Vec<_> =
                (0..12).map(|_| tokio::spawn(load(origin.addr, round, dice.split()))).collect();
            pause(ms(100 + dice.below(300))).await;
            origin.kill().await;
            for client in clients {
                client.await.expect("the load is answered as it should be");
            }
        }
        let in_flight: u64 = world.redis.query(&["ZCARD", "msg:guest::flights"]);
        println!(
            "{} guests, {in_flight} creates in flight, {} revocations pending after the last kill",
            world.sim.guests().len(),
            world.to_be_revoked().len(),
        );
        let _swept = world.origin(&settings).await;
        world.at_rest().await;

        let alive = world.alive();
        let tracked: BTreeSet<_> =
            (0..ROUNDS * DEVICES).flat_map(|n| world.tracked(&name(n))).collect();
        let known: BTreeSet<_> = tracked.union(&world.to_be_revoked()).cloned().collect();
        let lost = alive.difference(&known).count() as u64;
        let orphaned = world.counter("orphaned");
        assert!(lost <= orphaned, "{lost} guests are lost, {orphaned} counted");
        let dead: Vec<_> = tracked.difference(&alive).collect();
        assert!(dead.is_empty(), "revoked, yet in a device's set: {dead:?}");
        assert!(world.sim.guests().len() > 50, "that was no load");
        for n in 0..ROUNDS * DEVICES {
            assert!(world.tracked(&name(n)).len() <= 3);
        }
    });
}

#[test]
fn a_guest_whose_client_vanished_is_committed_or_revoked() {
    run(async {
        let world = World::new().await;
        let origin = world.origin(&[]).await;
        world.sim.set_latency(300, 0, 0);
        for n in 1..=4 {
            let mut client = TcpStream::connect(origin.addr).await.expect("it listens");
            client.write_all(&issue("vanished-device").bytes()).await.expect("it reads");
            if n % 2 == 0 {
                // The end comes as a reset instead of a FIN.
                client.set_zero_linger().expect("a socket option");
            }
            eventually("the create is under way", ms(5000), async || {
                (world.sim.count(CallKind::Create) == n).then_some(())
            })
            .await;
            pause(ms(100)).await;
            assert_eq!(world.sim.guests().len(), n - 1, "it vanishes in mid-request");
            drop(client);
            eventually("the guest is made", ms(5000), async || {
                (world.sim.guests().len() == n).then_some(())
            })
            .await;
        }
        world.at_rest().await;
        assert_eq!(world.sim.guests().len(), 4);
        assert_eq!(world.alive(), world.tracked("vanished-device").into_iter().collect());
        assert_eq!(world.counter("orphaned"), 0);
        assert!(world.counter("issued") + world.counter("revoked") >= 4);
    });
}

#[test]
fn a_process_told_to_stop_answers_what_is_under_way_and_keeps_no_lease() {
    run(async {
        let world = World::new().await;
        let mut origin = world.origin(&[("MAX_SESSIONS_PER_DEVICE", "40")]).await;
        join_all((0..40).map(|_| issued(origin.addr, "stopping-device"))).await;
        world.sim.set_latency(600, 600, 0);
        let ended = origin.send(&end_all("stopping-device")).await.expect(202);
        assert_eq!(ended.json()["revocations"], 40);
        let requests: Vec<_> = (0..10)
            .map(|n| {
                let addr = origin.addr;
                tokio::spawn(async move { issue(&format!("stopping-device-{n}")).send(addr).await })
            })
            .collect();
        eventually("creates and revocations are under way", ms(5000), async || {
            let (creates, revokes) =
                (world.sim.count(CallKind::Create), world.sim.count(CallKind::Invalidate));
            (creates == 50 && revokes > 0).then_some(())
        })
        .await;
        assert_eq!(world.sim.guests().len(), 40, "the creates are still under way");
        origin.signal("TERM").await;
        let (status, took) = timed(origin.ended()).await;

        assert_eq!(status.code(), Some(0), "{}", origin.log());
        assert!(took < Duration::from_secs(10), "{took:?}");
        for request in requests {
            let _: Session = Session::of(&request.await.expect("it is answered"));
        }
        let now = now_ms();
        let pending: Vec<(String, u64)> =
            world.redis.query(&["ZRANGE", "msg:guest::outbox", "0", "-1", "WITHSCORES"]);
        for (guest, at) in &pending {
            let job: String = world.redis.query(&["HGET", "msg:guest::jobs", guest]);
            let job: Value = serde_json::from_str(&job).expect("a job is JSON");
            assert!(job["claim"].is_null(), "the lease outlives the process: {job}");
            assert!(*at <= now, "released, but due only at {at}: {job}");
        }
        // Those not pending any more are revoked, and the other way round.
        let revoked = 40 - pending.len();
        assert_eq!(world.sim.guests().len() - world.sim.live_guests().len(), revoked);
        assert_eq!(world.counter("revoked"), revoked as u64);
        assert_eq!(world.redis.query::<u64>(&["ZCARD", "msg:guest::flights"]), 0);
    });
}

#[test]
fn a_process_told_to_stop_waits_no_longer_than_ten_seconds_and_not_when_told_twice() {
    run(async {
        let world = World::new().await;
        world.sim.fault(Fault::always(On::Create, Effect::Hang { after_work: false }));
        let settings = [("REQUEST_DEADLINE_MS", "60000")];
        let (mut patient, mut hurried) =
            (world.origin(&settings).await, world.origin(&settings).await);
        let begun = [&patient, &hurried].map(|origin| {
            let addr = origin.addr;
            tokio::spawn(async move { issue("hanging-device").try_send(addr).await })
        });
        eventually("both creates are under way", ms(5000), async || {
            (world.sim.count(CallKind::Create) == 2).then_some(())
        })
        .await;
        let twice = async {
            hurried.signal("TERM").await;
            eventually("it stops", ms(5000), async || {
                hurried.log().contains("stopping").then_some(())
            })
            .await;
            hurried.signal("TERM").await;
            timed(hurried.ended()).await
        };
        let once = async {
            patient.signal("TERM").await;
            timed(patient.ended()).await
        };
        let ((hurried_status, hurry), (patient_status, patience)) = tokio::join!(twice, once);

        assert_eq!((hurried_status.code(), patient_status.code()), (Some(1), Some(1)));
        assert!(hurry < Duration::from_secs(5), "{hurry:?}");
        let limit = Duration::from_secs(9)..Duration::from_secs(14);
        assert!(limit.contains(&patience), "{patience:?}");
        eventually("what is left is told", ms(2000), async || {
            let log = patient.log();
            (log.contains("with work left undone") && log.contains("requests=1")).then_some(())
        })
        .await;
        for request in begun {
            assert!(request.await.expect("it ends").is_err(), "a create that hangs has no answer");
        }
        assert_eq!(world.redis.query::<u64>(&["ZCARD", "msg:guest::flights"]), 2);
    });
}

//! One device: the cap at every instant (P1), and expiry without traffic (P4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use guestpass_tests::host::run;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms};

use crate::world::{World, issued, issued_when_free};

/// Asks for the size of a set as fast as it can, until told to stop; answers the largest and how often it asked.
fn watch(url: String, key: &'static str, stop: Arc<AtomicBool>) -> (u64, u64) {
    let client = redis::Client::open(url).expect("a valid URL");
    let mut connection = client.get_connection().expect("Redis answers");
    let (mut largest, mut asked) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let size: u64 = redis::cmd("ZCARD").arg(key).query(&mut connection).expect("a size");
        largest = largest.max(size);
        asked += 1;
    }
    (largest, asked)
}

#[test]
fn two_processes_together_never_give_a_device_more_sessions_than_its_cap() {
    run(async {
        let world = World::new().await;
        let origins = [world.origin(&[]).await, world.origin(&[]).await];
        // Creates overlap, and do not end in the order in which they began.
        world.sim.set_latency(10, 1, 0);
        let stop = Arc::new(AtomicBool::new(false));
        let watcher = std::thread::spawn({
            let (url, stop) = (world.redis.url(), stop.clone());
            move || watch(url, "msg:guest:crowded-device", stop)
        });
        let issues = (0..200)
            .map(|n: usize| issued_when_free(origins[n % 2].addr, "crowded-device", ms(30_000)));
        let sessions = join_all(issues).await;
        world.at_rest().await;
        stop.store(true, Ordering::Relaxed);
        let (largest, asked) = watcher.join().expect("the watcher ends well");

        assert_eq!(largest, 3, "of {asked} looks");
        assert!(asked > 200, "it looked only {asked} times");
        assert_eq!(world.sim.guests().len(), 200);
        let tracked = world.tracked("crowded-device");
        assert_eq!(tracked.len(), 3);
        assert_eq!(world.alive(), tracked.into_iter().collect());
        for guest in world.sim.guests() {
            assert!(guest.invalidated_at_ms.len() <= 1, "invalidated twice: {guest:?}");
        }
        assert_eq!(sessions.iter().map(|session| session.evicted).sum::<u64>(), 197);
        let counters = ["issued", "evicted", "revoked", "orphaned"].map(|name| world.counter(name));
        assert_eq!(counters, [200, 197, 197, 0]);
    });
}

#[test]
fn sessions_expire_and_are_revoked_without_traffic() {
    run(async {
        let world = World::new().await;
        let origin =
            world.origin(&[("SESSION_TTL_SECONDS", "2"), ("SWEEP_INTERVAL_MS", "500")]).await;
        issued(origin.addr, "silent-device").await;
        issued(origin.addr, "silent-device").await;
        let before = now_ms();
        issued(origin.addr, "silent-device").await;
        let after = now_ms();
        eventually("all three are revoked", ms(10_000), async || {
            world.alive().is_empty().then_some(())
        })
        .await;
        let guests = world.sim.guests();
        assert_eq!(guests.len(), 3);
        for guest in guests {
            let at = guest.invalidated_at_ms[0];
            assert!(at >= before + 2000, "{} ms too early", before + 2000 - at);
            assert!(at <= after + 2000 + 500 + 1000, "{} ms after the last issue", at - after);
        }
        world.at_rest().await;
        assert_eq!(world.tracked("silent-device"), [""; 0]);
        assert_eq!(world.counter("expired"), 3);
    });
}

//! P1 over many hosts: several isolates and origins on one Redis, all issuing for the same devices.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use guestpass_tests::host::run;
use guestpass_tests::wait::{ms, pause};

use crate::world::{World, issued_when_free};

const EDGES: usize = 4;
const ORIGINS: usize = 2;
const CLIENTS: usize = 48;
/// What each client issues.
const ISSUES: usize = 7;
const DEVICES: [&str; 3] = ["hot-device-0", "hot-device-1", "hot-device-2"];

#[test]
fn the_cap_holds_at_every_instant_over_isolates_and_origins() {
    run(async {
        let world = World::new().await;
        let origins = join_all((0..ORIGINS).map(|_| world.origin(&[]))).await;
        let edges = join_all((0..EDGES).map(|n| world.edge(&origins[n % ORIGINS], &[]))).await;
        let hosts: Vec<_> = edges
            .iter()
            .map(|edge| edge.addr)
            .chain(origins.iter().map(|origin| origin.addr))
            .collect();
        let is_over = AtomicBool::new(false);
        let load = async {
            let client = async |n: usize| {
                for i in 0..ISSUES {
                    let host = hosts[(n + i) % hosts.len()];
                    issued_when_free(
                        host,
                        DEVICES[(n / hosts.len() + i) % DEVICES.len()],
                        ms(60_000),
                    )
                    .await;
                }
            };
            join_all((0..CLIENTS).map(client)).await;
            is_over.store(true, Ordering::Relaxed);
        };
        let watch = async {
            let (mut looks, mut full) = (0_u32, 0_u32);
            while !is_over.load(Ordering::Relaxed) {
                for device in DEVICES {
                    let count: usize =
                        world.redis.query(&["ZCARD", &format!("msg:guest:{device}")]);
                    assert!(count <= 3, "{device} has {count} sessions");
                    looks += 1;
                    full += u32::from(count == 3);
                }
                pause(ms(2)).await;
            }
            (looks, full)
        };
        let ((), (looks, full)) = tokio::join!(load, watch);
        println!("{looks} looks at the devices, {full} of them full");
        assert!(full > 50, "the devices were not watched while they were full");

        world.at_rest().await;
        let tracked: BTreeSet<_> =
            DEVICES.iter().flat_map(|device| world.tracked(device)).collect();
        assert_eq!(world.alive(), tracked);
        assert_eq!(tracked.len(), 3 * DEVICES.len());
        let guests = world.sim.guests();
        assert_eq!(guests.len(), CLIENTS * ISSUES);
        let twice = guests.iter().filter(|guest| guest.invalidated_at_ms.len() > 1).count();
        assert_eq!(twice, 0, "revoked twice");
        assert_eq!(world.counter("issued"), (CLIENTS * ISSUES) as u64);
        assert_eq!(world.counter("orphaned"), 0);
    });
}

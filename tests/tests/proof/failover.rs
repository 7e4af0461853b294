//! A Cluster's master dies under load and its replica takes over. Devices of other masters are served all the while;
//! all is normal soon afterwards. What the replica had not heard is lost, and nothing else.
//!
//! In the short form the replica hears nothing for half a second before the end; `PROOF_LONG=1` repeats that, and adds
//! failovers of a replica that hears everything.

use genesys_sim::SimConfig;
use guestpass_tests::host::{run, start_sim};
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::wait::{ms, now_ms, pause};

use crate::forms::is_long;
use crate::redis_faults::{Fault, SETTINGS, back_to_normal, begin_load, settled};

/// How far the clocks of a load, a simulator and a Redis may blur, in milliseconds.
const BLUR_MS: u64 = 500;

#[test]
fn a_failover_loses_nothing_but_what_the_replica_had_not_heard() {
    run(async {
        let cut_offs: &[u64] = if is_long() { &[0, 0, 0, 0, 500, 500, 500] } else { &[500] };
        for &deaf_ms in cut_offs {
            failover(deaf_ms).await;
        }
    });
}

/// Kills a master whose replica has heard nothing for so long.
async fn failover(deaf_ms: u64) {
    let mut cluster = RedisCluster::start_replicated();
    let sim = start_sim(SimConfig::default()).await;
    sim.set_latency(10, 10, 0);
    let url = cluster.url();
    let settings = [("REDIS_URL", url.as_str()), ("REDIS_SHARDS", "8")];
    let origin = Origin::start(&sim, &[&settings, SETTINGS].concat()).await;
    let load = begin_load(&origin).await;

    if deaf_ms > 0 {
        let replica = &cluster.nodes_mut()[3];
        // Its link ends, and its master lets it in no more.
        replica.query::<()>(&["CONFIG", "SET", "masteruser", "nobody", "masterauth", "wrong"]);
        replica.query::<()>(&["CLIENT", "KILL", "TYPE", "master"]);
    }
    let deaf_since = now_ms();
    pause(ms(deaf_ms)).await;
    cluster.nodes_mut()[0].kill_hard();
    let began = now_ms();
    eventually("the replica takes over", ms(60_000), async || {
        let info: String = cluster.nodes_mut()[3].query(&["INFO", "replication"]);
        info.contains("role:master").then_some(())
    })
    .await;
    let fault = Fault { began, ended: now_ms() };
    let log = back_to_normal(&format!("failover, {deaf_ms} ms deaf"), load, fault).await;
    let during: Vec<_> = log
        .entries
        .iter()
        .filter(|entry| (fault.began..fault.ended).contains(&entry.sent_ms))
        .collect();
    assert!(during.iter().any(|entry| entry.status == 503), "nobody noticed");
    assert!(during.iter().any(|entry| entry.status == 201), "others were not served");

    let balance = settled(&cluster.masters(), &sim, &log, false).await;
    let lost = deaf_since.saturating_sub(BLUR_MS)..fault.began + BLUR_MS;
    let mut unexplained = Vec::new();
    for guest in sim.guests() {
        if balance.strays.contains(&guest.id) && !lost.contains(&guest.created_at_ms) {
            unexplained.push(guest.id.clone());
        }
        if balance.dead.contains(&guest.id) {
            let is_late = guest.invalidated_at_ms.iter().any(|at| *at >= lost.start);
            assert!(is_late, "back, but revoked before {lost:?}: {guest:?}");
        }
    }
    assert!(
        unexplained.len() as u64 <= balance.orphaned,
        "not of {lost:?}, but lost: {unexplained:?}"
    );
    println!(
        "  deaf for {deaf_ms} ms: {} guests lost, {} revoked ones back in their devices",
        balance.lost.len(),
        balance.dead.len()
    );
    drop(origin);
}

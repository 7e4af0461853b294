//! A Cluster that loses a master: its devices fail in time, the others and the sweep go on.

use std::time::Duration;

use guestpass_core::names::DeviceKey;
use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{Admission, Admit, End};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::scene::{Scene, device};

use crate::{TestStore, is_gone};

async fn try_admit(s: &Scene<'_, TestStore>, device: &DeviceKey) -> bool {
    let flight = s.flight();
    let admit = Admit { device, flight: &flight, idempotency: None, address_hash: None };
    let (answer, took) = timed(s.store.admit(s.at(), &admit)).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(answer == Ok(Admission::Granted) || is_gone(&answer), "{answer:?}");
    answer.is_ok()
}

#[tokio::test]
async fn a_lost_master_takes_only_its_own_devices_with_it() {
    let mut cluster = RedisCluster::start();
    let keys = Keys::new("faults:", 8);
    let store = RedisStore::new(RedisKv::new(&cluster.target()).expect("valid URLs"), keys.clone());
    let mut s = Scene::new(&store);
    s.limits.cap = 100;
    let (mut lost, mut kept) = (Vec::new(), Vec::new());
    for n in 0..24 {
        let device = device(&n.to_string());
        s.issue(&device, &format!("g{n}")).await;
        s.issue(&device, &format!("h{n}")).await;
        s.end(&device, End::One(&guestpass_tests::scene::guest(&format!("h{n}")))).await;
        let port = cluster.node_of(keys.base(keys.shard_of(&device))).port();
        if port == cluster.nodes_mut()[2].port() { lost.push(device) } else { kept.push(device) }
    }
    assert!(!lost.is_empty() && !kept.is_empty(), "{} {}", lost.len(), kept.len());

    cluster.nodes_mut()[2].kill_hard();
    assert!(!try_admit(&s, &lost[0]).await);
    for device in &kept {
        assert!(try_admit(&s, device).await, "a device of another master");
    }
    let jobs = s.claim(&s.claim_id(), 100).await;
    assert_eq!(jobs.len(), kept.len(), "the others' revocations are worked off");
    s.now = 3_600_000;
    let due = store.due(s.at(), 100).await.expect("due");
    assert_eq!(due.devices.len(), kept.len());
    assert_eq!(
        store.expire(s.at(), &due.devices).await.expect("expire").sessions,
        kept.len() as u64
    );

    cluster.nodes_mut()[2].restart();
    let patience = Duration::from_secs(20);
    eventually("the lost master is found again", patience, async || {
        let devices = store.due(s.at(), 100).await.map(|due| due.devices);
        // It kept nothing on disk; what counts is that it answers.
        (devices.is_ok() && try_admit(&s, &lost[0]).await).then_some(())
    })
    .await;
}

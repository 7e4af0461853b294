//! The sliding expiry of a device and the maximum age of a session.

use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::Counter;

use crate::scene::{Scene, device, guest, proof_of, time};

const HOUR: i64 = 3_600_000;

pub async fn a_commit_slides_the_devices_expiry<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    assert_eq!(s.issue(&device, "g1").await.expires_at, time(HOUR));
    s.now = HOUR - 1;
    assert_eq!(s.issue(&device, "g2").await.expires_at, time(2 * HOUR - 1));
    s.now = 2 * HOUR - 2;
    assert_eq!(s.guests(&device).await, ["g1", "g2"]);
    assert!(s.list(&device).await.iter().all(|session| session.expires_at == time(2 * HOUR - 1)));
    s.now = 2 * HOUR - 1;
    assert_eq!(s.list(&device).await, []);
}

pub async fn a_renew_slides_the_devices_expiry<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.issue(&device, "g2").await;
    s.now = HOUR - 1;
    assert_eq!(s.renew(&device, "g2", &proof_of(&guest("g2"))).await, Some(time(2 * HOUR - 1)));
    s.now = 2 * HOUR - 2;
    assert_eq!(s.guests(&device).await, ["g1", "g2"], "one renews for the whole device");
    s.now = 2 * HOUR - 1;
    assert_eq!(s.renew(&device, "g2", &proof_of(&guest("g2"))).await, None, "too late");
    assert_eq!(s.list(&device).await, []);
}

pub async fn an_expired_session_counts_for_nothing_unswept<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for id in ["g1", "g2", "g3"] {
        s.issue(&device, id).await;
    }
    s.now = HOUR;
    assert_eq!(s.list(&device).await, []);
    let committed = s.issue(&device, "g4").await;
    assert_eq!((committed.evicted, committed.expired), (0, 3));
    assert_eq!(s.guests(&device).await, ["g4"]);
}

pub async fn what_expires_is_filed_without_traffic<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    for name in ["a", "b", "c"] {
        s.issue(&device(name), &format!("g-{name}")).await;
    }
    s.now = HOUR - 1;
    assert_eq!(s.expire_due().await.sessions, 0);
    s.now = HOUR;
    assert_eq!(s.expire_due().await.sessions, 3);
    assert_eq!(s.filed().await, ["g-a:expired", "g-b:expired", "g-c:expired"]);
    assert_eq!(s.stats().await.devices, 0);
}

pub async fn a_commit_files_what_it_finds_expired<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.now = HOUR;
    s.issue(&device, "g2").await;
    assert_eq!(s.filed().await, ["g1:expired"]);
    assert_eq!(s.expire_due().await.sessions, 0);
    assert_eq!(s.stats().await.counter(Counter::Expired), 1);
}

pub async fn a_session_expires_at_its_maximum_age<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.limits.max_age_ms = 100_000;
    assert_eq!(s.issue(&device, "g1").await.expires_at, time(100_000));
    s.now = 60_000;
    assert_eq!(s.issue(&device, "g2").await.expires_at, time(160_000));
    s.now = 99_999;
    let renewed = s.renew(&device, "g1", &proof_of(&guest("g1"))).await;
    assert_eq!(renewed, Some(time(100_000)), "a renew does not lengthen a life");
    assert_eq!(s.expire_due().await.sessions, 0);
    s.now = 100_000;
    assert_eq!(s.guests(&device).await, ["g2"]);
    assert_eq!(s.renew(&device, "g1", &proof_of(&guest("g1"))).await, None);
    assert_eq!(s.expire_due().await.sessions, 1);
    assert_eq!(s.filed().await, ["g1:expired"]);
    s.now = 160_000;
    assert_eq!(s.expire_due().await.sessions, 1);
    assert_eq!(s.filed().await, ["g1:expired", "g2:expired"]);
}

pub async fn a_maximum_age_does_not_outlive_the_sliding_expiry<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.limits.max_age_ms = 5 * HOUR.unsigned_abs();
    assert_eq!(s.issue(&device, "g1").await.expires_at, time(HOUR));
    s.now = HOUR / 2;
    let renewed = s.renew(&device, "g1", &proof_of(&guest("g1"))).await;
    assert_eq!(renewed, Some(time(HOUR + HOUR / 2)));
    s.now = HOUR;
    assert_eq!(s.expire_due().await.sessions, 0, "it was renewed");
    assert_eq!(s.list(&device).await[0].expires_at, time(HOUR + HOUR / 2));
    s.now = HOUR + HOUR / 2;
    assert_eq!(s.expire_due().await.sessions, 1);
}

pub async fn the_maximum_age_may_be_turned_on_and_off<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.limits.max_age_ms = 100_000;
    s.now = 100_000;
    assert_eq!(s.list(&device).await, [], "it counts for sessions that are there already");
    s.limits.max_age_ms = 0;
    assert_eq!(s.list(&device).await[0].expires_at, time(HOUR), "and no more when it is off");
    s.limits.max_age_ms = 100_000;
    s.issue(&device, "g2").await;
    s.limits.max_age_ms = 0;
    s.now = 300_000;
    s.expire_due().await;
    assert_eq!(s.guests(&device).await, ["g2"]);
    s.now = HOUR + 100_000;
    assert_eq!(s.expire_due().await.sessions, 1, "the sliding expiry is kept beside it");
}

pub async fn expiring_again_changes_nothing<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.now = HOUR;
    let due = store.due(s.at(), 10).await.expect("due");
    assert_eq!(due.devices, [device]);
    let first = store.expire(s.at(), &due.devices).await.expect("expire");
    let second = store.expire(s.at(), &due.devices).await.expect("expire");
    assert_eq!((first.sessions, second.sessions), (1, 0));
    assert_eq!(store.due(s.at(), 10).await.expect("due").devices, []);
    assert_eq!(s.filed().await, ["g1:expired"]);
    assert_eq!(s.stats().await.counter(Counter::Expired), 1);
}

pub async fn a_device_that_was_renewed_is_not_due<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.now = HOUR;
    let due = store.due(s.at(), 10).await.expect("due");
    // Between the sweep's two calls the device is active again, at a host whose clock is behind.
    s.now = HOUR - 1;
    s.issue(&device, "g2").await;
    s.now = HOUR;
    assert_eq!(store.expire(s.at(), &due.devices).await.expect("expire").sessions, 0);
    assert_eq!(s.guests(&device).await, ["g1", "g2"]);
    s.now = 2 * HOUR;
    assert_eq!(s.expire_due().await.sessions, 2);
}

pub async fn due_lists_the_longest_overdue_first_up_to_its_limit<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    for n in 0..12 {
        s.now = i64::from((n * 5) % 12) * 1000;
        s.issue(&device(&format!("{:02}", (n * 5) % 12)), &format!("g{n}")).await;
    }
    s.now = HOUR + 8000;
    let due = store.due(s.at(), 5).await.expect("due");
    assert_eq!(due.devices, ["00", "01", "02", "03", "04"].map(device));
    let due = store.due(s.at(), 100).await.expect("due");
    assert_eq!(due.devices.len(), 9);
}

//! A device whose name changes with its key: what stands under an older name belongs to it.

use futures_util::future::join_all;
use guestpass_core::names::DeviceKey;
use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{AbortOutcome, Admission, Counter, End, RevocationState};

use crate::scene::{Scene, guest, key, keyed_device, proof_of, time};

const HOUR: i64 = 3_600_000;

/// A host before the rotation.
fn old() -> DeviceKey {
    keyed_device("a", &["old"])
}

/// A host that reads the new key already.
fn old_first() -> DeviceKey {
    keyed_device("a", &["old", "new"])
}

/// A host that writes the new key.
fn new_first() -> DeviceKey {
    keyed_device("a", &["new", "old"])
}

/// A host that has forgotten the old key.
fn new() -> DeviceKey {
    keyed_device("a", &["new"])
}

pub async fn sessions_under_an_older_name_belong_to_the_device<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    for id in ["g1", "g2", "g3"] {
        s.issue(&old(), id).await;
    }
    s.now = 1000;
    assert_eq!(s.guests(&new_first()).await, ["g1", "g2", "g3"]);
    let g1 = guest("g1");
    assert_eq!(s.renew(&old_first(), "g1", &proof_of(&g1)).await, Some(time(HOUR + 1000)));
    s.now = 2000;
    assert_eq!(s.renew(&new_first(), "g1", &proof_of(&g1)).await, Some(time(HOUR + 2000)));
    let g2 = guest("g2");
    assert_eq!(s.end(&old_first(), End::Own(&g2, &proof_of(&g2))).await.ended, 1);
    assert_eq!(s.end(&new_first(), End::One(&g1)).await.ended, 1);
    assert_eq!(s.end(&new_first(), End::All).await.ended, 1);
    assert_eq!(s.filed().await, ["g1:ended", "g2:ended", "g3:ended"]);
    assert_eq!(s.stats().await.devices, 0);
}

pub async fn the_cap_holds_over_both_names<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    for id in ["g1", "g2", "g3"] {
        s.issue(&old(), id).await;
    }
    assert_eq!(s.issue(&new_first(), "g4").await.evicted, 1);
    assert_eq!(s.issue(&old_first(), "g5").await.evicted, 1);
    assert_eq!(s.issue(&new_first(), "g6").await.evicted, 1);
    assert_eq!(s.guests(&new()).await, ["g4", "g5", "g6"]);
    assert!(s.guests(&old()).await.is_empty());
    assert_eq!(s.filed().await, ["g1:evicted", "g2:evicted", "g3:evicted"]);
}

pub async fn the_cap_holds_while_hosts_disagree_about_the_first_key<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let s = &s;
    let ids: Vec<_> = (0..40).map(|n| format!("g{n:02}")).collect();
    let issued = join_all(ids.iter().enumerate().map(async |(n, id)| {
        let device = if n % 2 == 0 { new_first() } else { old_first() };
        let flight = s.flight();
        match s.admit(&device, &flight).await {
            Admission::Granted => Some(s.commit(&device, &flight, &guest(id)).await.evicted),
            Admission::Busy => None,
            other => panic!("{other:?}"),
        }
    }))
    .await;
    let evicted: u32 = issued.iter().flatten().sum();
    let committed = u32::try_from(issued.iter().flatten().count()).expect("few");
    assert!(committed >= 3, "{committed}");
    assert_eq!(committed - evicted, 3);
    assert_eq!(s.guests(&new_first()).await.len(), 3);
    assert_eq!(s.filed().await.len(), evicted as usize);
    assert_eq!(s.stats().await.in_flight, 0);
}

pub async fn a_commit_meets_what_came_under_the_other_name_since_it_was_admitted<
    S: SessionStore,
>(
    store: &S,
) {
    let s = Scene::new(store);
    for n in 0..4 {
        let (one, other) = (s.flight(), s.flight());
        assert_eq!(s.admit(&new_first(), &one).await, Admission::Granted);
        assert_eq!(s.admit(&old_first(), &other).await, Admission::Granted);
        s.commit(&old_first(), &other, &guest(&format!("o{n}"))).await;
        s.commit(&new_first(), &one, &guest(&format!("n{n}"))).await;
        let total = s.guests(&old()).await.len() + s.guests(&new()).await.len();
        assert!(total <= 3, "{total}");
    }
    assert_eq!(s.stats().await.counter(Counter::Evicted), 5);
}

pub async fn creates_in_flight_under_an_older_name_count_and_commit<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let flights = [s.flight(), s.flight(), s.flight()];
    assert_eq!(s.admit(&old_first(), &flights[0]).await, Admission::Granted);
    assert_eq!(s.admit(&new_first(), &flights[1]).await, Admission::Granted);
    assert_eq!(s.admit(&old_first(), &flights[2]).await, Admission::Granted);
    for device in [old_first(), new_first()] {
        assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
    }
    s.commit(&new_first(), &flights[0], &guest("g1")).await;
    s.commit(&old_first(), &flights[1], &guest("g2")).await;
    s.commit(&new_first(), &flights[2], &guest("g3")).await;
    assert_eq!(s.guests(&old_first()).await, ["g1", "g2", "g3"]);
    assert_eq!(s.stats().await.in_flight, 0);
    assert_eq!(s.admit(&new_first(), &s.flight()).await, Admission::Granted);
}

pub async fn an_older_names_flight_is_aborted_and_frees_its_key<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (flight, key) = (s.flight(), key("k1", "b1"));
    s.admit_keyed(&old_first(), &flight, &key).await;
    assert_eq!(s.admit_keyed(&new_first(), &s.flight(), &key).await, Admission::InFlight);
    s.abort(&old_first(), &flight, Some(&key), AbortOutcome::Refused).await;
    assert_eq!(s.stats().await.in_flight, 0);
    assert_eq!(s.admit_keyed(&new_first(), &s.flight(), &key).await, Admission::Granted);
    s.issue(&old_first(), "g1").await;
    let g1 = guest("g1");
    s.abort(&new_first(), &flight, None, AbortOutcome::CommitFailed(&g1)).await;
    assert!(s.guests(&old_first()).await.is_empty());
    assert_eq!(s.filed().await, ["g1:commit_failed"]);
}

pub async fn a_replay_finds_an_older_names_record<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (flight, first) = (s.flight(), key("k1", "b1"));
    s.admit_keyed(&old(), &flight, &first).await;
    s.commit_keyed(&old(), &flight, &guest("g1"), Some(&first)).await;
    for device in [new_first(), old_first(), new_first()] {
        let Admission::Replay(issued) = s.admit_keyed(&device, &s.flight(), &first).await else {
            panic!("no replay");
        };
        assert_eq!(issued.guest, guest("g1"));
        let other = key("k1", "b2");
        assert_eq!(s.admit_keyed(&device, &s.flight(), &other).await, Admission::Mismatch);
    }
}

pub async fn a_rate_counts_over_both_names<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.rate_per_device = 3;
    s.issue(&old(), "g1").await;
    s.issue(&new_first(), "g2").await;
    s.issue(&old_first(), "g3").await;
    for device in [new_first(), old_first()] {
        let refused = s.admit(&device, &s.flight()).await;
        assert_eq!(refused, Admission::RateLimited(time(60_000)));
    }
    // A host that knows no other key has counted one issue more under its own.
    s.issue(&new(), "g4").await;
    assert!(matches!(s.admit(&new_first(), &s.flight()).await, Admission::RateLimited(_)));
}

pub async fn what_expired_under_an_older_name_stays_expired<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.issue(&old(), "g1").await;
    s.now = HOUR;
    assert!(s.guests(&new_first()).await.is_empty());
    let renewed = s.renew(&new_first(), "g1", &proof_of(&guest("g1"))).await;
    assert_eq!(renewed, None);
    s.issue(&new_first(), "g2").await;
    assert_eq!(s.guests(&new_first()).await, ["g2"]);
    assert_eq!(s.filed().await, ["g1:expired"]);
}

pub async fn an_older_name_keeps_its_expiry<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.max_age_ms = 7_200_000;
    s.issue(&old(), "g1").await;
    s.now = 1000;
    assert_eq!(s.list(&new_first()).await[0].expires_at, time(HOUR));
    s.now = HOUR;
    assert_eq!(s.expire_due().await.sessions, 1);
    assert_eq!(s.filed().await, ["g1:expired"]);
}

pub async fn two_devices_become_one_with_all_revocations_filed<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.issue(&old(), "g1").await;
    s.now = HOUR - 1000;
    s.issue(&new(), "g2").await;
    s.issue(&new(), "g3").await;
    s.now = HOUR + 1000;
    // What expired under one name does not live on by what is alive under the other.
    assert_eq!(s.guests(&new_first()).await, ["g2", "g3"]);
    assert_eq!(s.filed().await, ["g1:expired"]);
    assert_eq!(s.stats().await.counter(Counter::Expired), 1);
    s.issue(&old(), "g4").await;
    assert_eq!(s.guests(&old_first()).await, ["g2", "g3", "g4"]);
    assert_eq!(s.list(&new_first()).await[0].expires_at, time(2 * HOUR + 1000));
    s.now = 2 * HOUR + 1000;
    assert_eq!(s.expire_due().await.sessions, 3);
    assert_eq!(s.stats().await.devices, 0);
}

pub async fn several_older_names_are_gathered<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    for (key, id) in [("k1", "g1"), ("k2", "g2"), ("k3", "g3")] {
        s.issue(&keyed_device("a", &[key]), id).await;
    }
    let all = keyed_device("a", &["k4", "k3", "k2", "k1"]);
    assert_eq!(s.guests(&all).await.len(), 3);
    assert_eq!(s.issue(&all, "g4").await.evicted, 1);
    assert_eq!(s.stats().await.devices, 1);
}

/// The order of deployment that is to be avoided: its bound is the cap for each name.
pub async fn a_host_without_the_new_key_keeps_to_its_own_cap_and_the_next_commit_heals_it<
    S: SessionStore,
>(
    store: &S,
) {
    let s = Scene::new(store);
    for n in 0..5 {
        s.issue(&new_first(), &format!("n{n}")).await;
        s.issue(&old(), &format!("o{n}")).await;
        let total = s.guests(&old()).await.len() + s.guests(&new()).await.len();
        assert!(total <= 6, "{total}");
    }
    for n in 5..8 {
        s.issue(&old(), &format!("o{n}")).await;
    }
    assert_eq!(s.guests(&old()).await.len() + s.guests(&new()).await.len(), 6);
    s.issue(&new_first(), "n9").await;
    assert_eq!(s.guests(&new_first()).await.len(), 3);
    let stats = s.stats().await;
    assert_eq!(stats.counter(Counter::Issued), 3 + stats.pending_revocations);
}

pub async fn what_is_gathered_leaves_nothing_under_the_older_name<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.max_age_ms = HOUR.unsigned_abs();
    s.issue(&old(), "g1").await;
    s.issue(&new_first(), "g2").await;
    let stats = s.stats().await;
    assert_eq!((stats.devices, stats.in_flight), (1, 0));
    assert!(s.guests(&old()).await.is_empty());
    s.now = HOUR;
    let due = s.store.due(s.at(), 10).await.expect("due");
    assert_eq!(due.devices, [new()]);
    assert_eq!(s.store.expire(s.at(), &due.devices).await.expect("expire").sessions, 2);
    assert!(s.store.due(s.at(), 10).await.expect("due").devices.is_empty());
    let pending = s.store.revocations(s.at(), RevocationState::Pending, 10).await;
    assert_eq!(pending.expect("revocations").len(), 2);
}

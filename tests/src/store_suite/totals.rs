//! The cool-down, the counters and the gauges.

use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{Admission, Counter, End, Fate, Stats};

use crate::scene::{Scene, device, guest, key, time};

async fn cool<S: SessionStore>(s: &Scene<'_, S>, until: i64) {
    s.store.cool_down(s.at(), Some(time(until))).await.expect("cool_down");
}

pub async fn the_longest_cool_down_wins<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let cool = async |s: &Scene<'_, S>, until: Option<i64>| {
        store.cool_down(s.at(), until.map(time)).await.expect("cool_down")
    };
    assert!(cool(&s, None).await <= time(0));
    assert_eq!(cool(&s, Some(5000)).await, time(5000));
    assert_eq!(cool(&s, Some(3000)).await, time(5000));
    assert_eq!(cool(&s, Some(9000)).await, time(9000));
    assert_eq!(cool(&s, None).await, time(9000));
    assert_eq!(s.stats().await.cool_until, time(9000));
    s.now = 10_000;
    assert_eq!(
        cool(&s, Some(9500)).await,
        time(9000),
        "one that has passed already prolongs nothing"
    );
}

pub async fn a_cool_down_holds_admit_and_claim<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.end(&device, End::All).await;
    cool(&s, 5000).await;
    s.now = 4999;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::CoolDown(time(5000)));
    assert_eq!(s.claim(&s.claim_id(), 10).await, []);
    assert_eq!(s.stats().await.in_flight, 0);
    s.now = 5000;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1);
}

pub async fn a_replay_is_answered_in_a_cool_down<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    s.admit_keyed(&device, &flight, &k).await;
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    cool(&s, 5000).await;
    let replay = s.admit_keyed(&device, &s.flight(), &k).await;
    assert!(matches!(replay, Admission::Replay(_)), "{replay:?}");
    let other = s.admit_keyed(&device, &s.flight(), &key("k2", "body")).await;
    assert_eq!(other, Admission::CoolDown(time(5000)));
}

pub async fn an_admitted_flight_is_not_cooled<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    cool(&s, 5000).await;
    assert_eq!(s.admit(&device, &flight).await, Admission::Granted, "the same answer again");
    s.commit(&device, &flight, &guest("g1")).await;
    assert_eq!(s.guests(&device).await, ["g1"]);
}

pub async fn counters_count_each_thing_once<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for n in 1..=5 {
        s.issue(&device, &format!("g{n}")).await;
    }
    s.end(&device, End::One(&guest("g3"))).await;
    s.now = 3_600_000;
    s.expire_due().await;
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 10).await;
    s.settle(&claim, &jobs[0], Fate::Revoked).await;
    s.settle(&claim, &jobs[1], Fate::Stuck { error: "x".to_owned() }).await;
    s.settle(&claim, &jobs[2], Fate::Retry { at: time(0), error: "x".to_owned() }).await;
    let stats = s.stats().await;
    let expected = [
        (Counter::Issued, 5),
        (Counter::Evicted, 2),
        (Counter::Ended, 1),
        (Counter::Expired, 2),
        (Counter::Revoked, 1),
        (Counter::RevokeFailed, 2),
        (Counter::Stuck, 1),
        (Counter::Replayed, 0),
        (Counter::Abandoned, 0),
        (Counter::Orphaned, 0),
        (Counter::RateLimited, 0),
        (Counter::Busy, 0),
    ];
    assert_eq!(expected.len(), Counter::ALL.len());
    for (counter, value) in expected {
        assert_eq!(stats.counter(counter), value, "{}", counter.name());
    }
}

pub async fn gauges_show_what_there_is<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    for name in ["a", "b", "c"] {
        s.issue(&device(name), &format!("g-{name}")).await;
        s.now += 1000;
    }
    s.admit(&device("a"), &s.flight()).await;
    s.admit(&device("d"), &s.flight()).await;
    s.end(&device("b"), End::All).await;
    s.now += 1000;
    s.end(&device("a"), End::All).await;
    let stats = s.stats().await;
    assert_eq!((stats.devices, stats.in_flight), (1, 2));
    assert_eq!((stats.pending_revocations, stats.stuck_revocations), (2, 0));
    assert_eq!(stats.oldest_pending, Some(time(3000)));
    // A claim moves the next attempt, not the age.
    let claim = s.claim_id();
    assert_eq!(s.claim(&claim, 10).await.len(), 2);
    assert_eq!(s.stats().await.oldest_pending, Some(time(3000)));
}

pub async fn a_new_store_has_nothing<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    assert_eq!(s.stats().await, Stats::default());
    assert_eq!((s.pending().await, s.stuck().await), (vec![], vec![]));
    assert_eq!(s.claim(&s.claim_id(), 10).await, []);
    assert_eq!(
        store.due(s.at(), 10).await.expect("due"),
        guestpass_core::store::ops::Due::default()
    );
    let expired = store.expire(s.at(), &[device("a")]).await.expect("expire");
    assert_eq!(expired, guestpass_core::store::ops::Expired::default());
    assert_eq!(store.expire(s.at(), &[]).await.expect("expire").sessions, 0);
}

//! Rate limits: issues a minute, for a device and for an address.

use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{Admission, Counter};

use crate::scene::{Scene, device, guest, key, time};

fn scene<S: SessionStore>(store: &S, per_device: u32, per_ip: u32) -> Scene<'_, S> {
    let mut s = Scene::new(store);
    s.limits.cap = 100;
    s.limits.rate_per_device = per_device;
    s.limits.rate_per_ip = per_ip;
    s
}

pub async fn a_device_has_so_many_issues_a_minute<S: SessionStore>(store: &S) {
    let s = scene(store, 2, 0);
    for _ in 0..2 {
        assert_eq!(s.admit(&device("a"), &s.flight()).await, Admission::Granted);
    }
    let refused = s.admit(&device("a"), &s.flight()).await;
    assert_eq!(refused, Admission::RateLimited(time(60_000)));
    assert_eq!(s.admit(&device("b"), &s.flight()).await, Admission::Granted);
    let stats = s.stats().await;
    assert_eq!((stats.counter(Counter::RateLimited), stats.in_flight), (1, 3));
}

pub async fn an_address_has_so_many_issues_a_minute<S: SessionStore>(store: &S) {
    let s = scene(store, 0, 2);
    let device = device("a");
    for _ in 0..2 {
        assert_eq!(s.admit_full(&device, &s.flight(), None, Some("ip1")).await, Admission::Granted);
    }
    let refused = s.admit_full(&device, &s.flight(), None, Some("ip1")).await;
    assert_eq!(refused, Admission::RateLimited(time(60_000)));
    assert_eq!(s.admit_full(&device, &s.flight(), None, Some("ip2")).await, Admission::Granted);
    assert_eq!(s.admit_full(&device, &s.flight(), None, None).await, Admission::Granted);
}

pub async fn a_window_ends_with_its_minute<S: SessionStore>(store: &S) {
    let mut s = scene(store, 1, 0);
    let device = device("a");
    s.now = 59_000;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    s.now = 59_999;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::RateLimited(time(60_000)));
    s.now = 60_000;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::RateLimited(time(120_000)));
}

pub async fn replays_do_not_count<S: SessionStore>(store: &S) {
    let s = scene(store, 2, 2);
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    s.admit_full(&device, &flight, Some(&k), Some("ip")).await;
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    for _ in 0..5 {
        let replay = s.admit_full(&device, &s.flight(), Some(&k), Some("ip")).await;
        assert!(matches!(replay, Admission::Replay(_)), "{replay:?}");
    }
    assert_eq!(s.admit_full(&device, &s.flight(), None, Some("ip")).await, Admission::Granted);
    let refused = s.admit_full(&device, &s.flight(), None, Some("ip")).await;
    assert_eq!(refused, Admission::RateLimited(time(60_000)));
    let replay = s.admit_full(&device, &s.flight(), Some(&k), Some("ip")).await;
    assert!(matches!(replay, Admission::Replay(_)), "a replay is answered even then: {replay:?}");
}

pub async fn admitting_again_does_not_count<S: SessionStore>(store: &S) {
    let s = scene(store, 2, 2);
    let (device, flight) = (device("a"), s.flight());
    for _ in 0..5 {
        assert_eq!(s.admit_full(&device, &flight, None, Some("ip")).await, Admission::Granted);
    }
    assert_eq!(s.admit_full(&device, &s.flight(), None, Some("ip")).await, Admission::Granted);
    let again = s.admit_full(&device, &flight, None, Some("ip")).await;
    assert_eq!(again, Admission::Granted, "what was admitted stays admitted");
}

pub async fn a_clock_that_is_behind_counts_in_the_window_it_finds<S: SessionStore>(store: &S) {
    let mut s = scene(store, 1, 0);
    let device = device("a");
    s.now = 60_000;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    s.now = 59_000;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::RateLimited(time(120_000)));
}

pub async fn a_refused_issue_does_not_count<S: SessionStore>(store: &S) {
    let mut s = scene(store, 2, 0);
    s.limits.cap = 1;
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    for _ in 0..3 {
        assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
    }
    s.commit(&device, &flight, &guest("g1")).await;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
}

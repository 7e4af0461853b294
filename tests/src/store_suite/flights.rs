//! Creates in flight: their places, their ends, and orphans.

use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{AbortOutcome, Admission, Counter};

use crate::scene::{Scene, device, guest, time};

const ORPHANED: Counter = Counter::Orphaned;

pub async fn at_most_cap_creates_are_in_flight<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    for _ in 0..3 {
        assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    }
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
    let stats = s.stats().await;
    assert_eq!((stats.in_flight, stats.counter(Counter::Busy)), (3, 2));
}

pub async fn a_busy_device_does_not_hold_up_others<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    for _ in 0..4 {
        s.admit(&device("a"), &s.flight()).await;
    }
    assert_eq!(s.admit(&device("b"), &s.flight()).await, Admission::Granted);
}

pub async fn a_commit_frees_its_place<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.cap = 1;
    for n in 0..5 {
        s.issue(&device("a"), &format!("g{n}")).await;
    }
    assert_eq!(s.stats().await.in_flight, 0);
}

pub async fn an_abort_frees_its_place<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.cap = 1;
    let (device, guest) = (device("a"), guest("g"));
    let outcomes = [
        AbortOutcome::Refused,
        AbortOutcome::Orphaned,
        AbortOutcome::CommitFailed(&guest),
        AbortOutcome::Withdrawn(&guest),
    ];
    for outcome in outcomes {
        let flight = s.flight();
        assert_eq!(s.admit(&device, &flight).await, Admission::Granted);
        assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
        s.abort(&device, &flight, None, outcome).await;
    }
    assert_eq!(s.stats().await.in_flight, 0);
}

pub async fn admitting_again_takes_no_second_place<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    s.limits.cap = 1;
    let (device, flight) = (device("a"), s.flight());
    for _ in 0..3 {
        assert_eq!(s.admit(&device, &flight).await, Admission::Granted);
    }
    let stats = s.stats().await;
    assert_eq!((stats.in_flight, stats.counter(Counter::Busy)), (1, 0));
}

pub async fn a_place_that_runs_out_is_free_and_counts_one_orphan_once<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for _ in 0..3 {
        s.admit(&device, &s.flight()).await;
    }
    s.now = 19_999;
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Busy);
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 0);
    s.now = 20_000;
    assert_eq!(s.stats().await.in_flight, 0);
    assert_eq!(s.admit(&device, &s.flight()).await, Admission::Granted);
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 3);
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 0);
    let stats = s.stats().await;
    assert_eq!((stats.counter(ORPHANED), stats.in_flight), (3, 1));
}

pub async fn a_flight_readmitted_after_its_place_ran_out_counts_one_orphan<S: SessionStore>(
    store: &S,
) {
    let mut s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    s.now = 25_000;
    assert_eq!(s.admit(&device, &flight).await, Admission::Granted);
    assert_eq!(s.stats().await.in_flight, 1);
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 0);
    s.now = 45_000;
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 1);
    assert_eq!(s.stats().await.counter(ORPHANED), 1);
}

pub async fn an_orphan_is_counted_by_abort_or_by_due_but_once<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    let [aborted, swept] = [s.flight(), s.flight()];
    s.admit(&device, &aborted).await;
    s.admit(&device, &swept).await;
    s.abort(&device, &aborted, None, AbortOutcome::Orphaned).await;
    assert_eq!(s.stats().await.counter(ORPHANED), 1);
    s.now = 20_000;
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 1);
    s.abort(&device, &swept, None, AbortOutcome::Orphaned).await;
    assert_eq!(s.stats().await.counter(ORPHANED), 2);
}

pub async fn a_refused_create_is_no_orphan<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    s.abort(&device, &flight, None, AbortOutcome::Refused).await;
    s.now = 30_000;
    assert_eq!(store.due(s.at(), 10).await.expect("due").orphaned, 0);
    assert_eq!(s.stats().await.counter(ORPHANED), 0);
}

pub async fn a_late_commit_still_commits<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    s.now = 50_000;
    store.due(s.at(), 10).await.expect("due");
    s.admit(&device, &s.flight()).await;
    assert_eq!(s.commit(&device, &flight, &guest("g1")).await.created_at, time(50_000));
    assert_eq!(s.guests(&device).await, ["g1"]);
    s.commit(&device, &flight, &guest("g1")).await;
    assert_eq!(s.guests(&device).await, ["g1"]);
    assert_eq!(s.stats().await.counter(Counter::Issued), 1);
}

pub async fn committing_again_changes_nothing<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for id in ["g1", "g2", "g3"] {
        s.issue(&device, id).await;
    }
    let flight = s.flight();
    s.admit(&device, &flight).await;
    let first = s.commit(&device, &flight, &guest("g4")).await;
    assert_eq!(first.evicted, 1);
    let before = (s.list(&device).await, s.stats().await, s.filed().await);
    s.now = 5;
    assert_eq!(s.commit(&device, &flight, &guest("g4")).await, first);
    assert_eq!((s.list(&device).await, s.stats().await, s.filed().await), before);
}

pub async fn committing_again_after_admitting_again_changes_nothing<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    let first = s.commit(&device, &flight, &guest("g1")).await;
    s.now = 5;
    // An admit that was on its way twice arrives after the commit.
    s.admit(&device, &flight).await;
    assert_eq!(s.commit(&device, &flight, &guest("g1")).await, first);
    assert_eq!(s.guests(&device).await, ["g1"]);
    let stats = s.stats().await;
    assert_eq!((stats.in_flight, stats.counter(Counter::Issued)), (0, 1));
}

pub async fn a_guest_that_was_filed_is_not_committed_again<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit(&device, &flight).await;
    s.commit(&device, &flight, &guest("g1")).await;
    s.abort(&device, &flight, None, AbortOutcome::CommitFailed(&guest("g1"))).await;
    s.commit(&device, &flight, &guest("g1")).await;
    assert_eq!(s.list(&device).await, []);
    assert_eq!(s.filed().await, ["g1:commit_failed"]);
    assert_eq!(s.stats().await.counter(Counter::Issued), 1);
}

pub async fn a_failed_commit_is_filed_and_its_session_removed<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, never, lost) = (device("a"), s.flight(), s.flight());
    s.issue(&device, "g1").await;
    s.admit(&device, &never).await;
    s.abort(&device, &never, None, AbortOutcome::CommitFailed(&guest("never"))).await;
    s.admit(&device, &lost).await;
    s.commit(&device, &lost, &guest("lost")).await;
    s.abort(&device, &lost, None, AbortOutcome::CommitFailed(&guest("lost"))).await;
    assert_eq!(s.guests(&device).await, ["g1"]);
    assert_eq!(s.filed().await, ["lost:commit_failed", "never:commit_failed"]);
    assert_eq!(s.stats().await.counter(ORPHANED), 0);
}

pub async fn a_withdrawn_guest_loses_its_session_and_counts_as_revoked<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.issue(&device, "g1").await;
    s.admit(&device, &flight).await;
    s.abort(&device, &flight, None, AbortOutcome::Withdrawn(&guest("g2"))).await;
    assert_eq!(s.stats().await.counter(Counter::Revoked), 1);
    let flight = s.flight();
    s.admit(&device, &flight).await;
    s.commit(&device, &flight, &guest("g3")).await;
    s.abort(&device, &flight, None, AbortOutcome::Withdrawn(&guest("g3"))).await;
    assert_eq!(s.guests(&device).await, ["g1"]);
    assert_eq!(s.filed().await, [] as [&str; 0]);
}

pub async fn aborting_again_changes_nothing<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, guest) = (device("a"), guest("g"));
    s.issue(&device, "g1").await;
    let outcomes = [
        AbortOutcome::Refused,
        AbortOutcome::Orphaned,
        AbortOutcome::Withdrawn(&guest),
        AbortOutcome::CommitFailed(&guest),
    ];
    for outcome in outcomes {
        let flight = s.flight();
        s.admit(&device, &flight).await;
        s.abort(&device, &flight, None, outcome).await;
        let before = (s.list(&device).await, s.stats().await, s.pending().await);
        s.abort(&device, &flight, None, outcome).await;
        assert_eq!(
            (s.list(&device).await, s.stats().await, s.pending().await),
            before,
            "{outcome:?}"
        );
    }
}

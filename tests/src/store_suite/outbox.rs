//! Revocations: leased by claims, listed, retried and abandoned.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use guestpass_core::names::ClaimId;
use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{Counter, End, Fate, Job, RevocationState};

use crate::scene::{Scene, device, guest, time};

/// A scene with `n` pending revocations of as many devices, filed a millisecond after each other.
async fn with_pending<S: SessionStore>(store: &S, n: usize) -> Scene<'_, S> {
    let mut s = Scene::new(store);
    for n in 0..n {
        let device = device(&n.to_string());
        s.issue(&device, &format!("g{n:02}")).await;
        s.end(&device, End::All).await;
        s.now += 1;
    }
    s
}

fn names(jobs: &[Job]) -> BTreeSet<&str> {
    jobs.iter().map(|job| job.guest.as_str()).collect()
}

async fn make_stuck<S: SessionStore>(s: &Scene<'_, S>) {
    let claim = s.claim_id();
    for job in s.claim(&claim, 100).await {
        s.settle(&claim, &job, Fate::Stuck { error: "502".to_owned() }).await;
    }
}

pub async fn a_claim_leases_what_is_due<S: SessionStore>(store: &S) {
    let s = with_pending(store, 3).await;
    let jobs = s.claim(&s.claim_id(), 10).await;
    assert_eq!(names(&jobs), BTreeSet::from(["g00", "g01", "g02"]));
    assert!(jobs.iter().all(|job| job.attempts == 0));
    let pending = s.pending().await;
    assert!(pending.iter().all(|r| r.next_attempt_at == Some(time(3 + 30_000))), "{pending:?}");
}

pub async fn a_second_claimer_gets_nothing_until_the_lease_ends<S: SessionStore>(store: &S) {
    let mut s = with_pending(store, 3).await;
    let first = s.claim(&s.claim_id(), 10).await;
    assert_eq!(s.claim(&s.claim_id(), 10).await, []);
    s.now += 29_999;
    assert_eq!(s.claim(&s.claim_id(), 10).await, []);
    s.now += 1;
    assert_eq!(names(&s.claim(&s.claim_id(), 10).await), names(&first));
}

pub async fn a_claim_takes_no_more_than_its_limit<S: SessionStore>(store: &S) {
    let s = with_pending(store, 10).await;
    let mut seen = BTreeSet::new();
    for expected in [4, 4, 2, 0] {
        let jobs = s.claim(&s.claim_id(), 4).await;
        assert_eq!(jobs.len(), expected);
        seen.extend(jobs.into_iter().map(|job| job.guest));
    }
    assert_eq!(seen.len(), 10);
}

pub async fn the_same_claim_repeated_gets_the_same_jobs<S: SessionStore>(store: &S) {
    let s = with_pending(store, 6).await;
    let claim = s.claim_id();
    let first = s.claim(&claim, 4).await;
    assert_eq!(s.claim(&claim, 4).await, first);
    assert_eq!(s.claim(&s.claim_id(), 4).await.len(), 2);
}

pub async fn concurrent_claims_share_no_job<S: SessionStore>(store: &S) {
    let s = with_pending(store, 40).await;
    let claims: Vec<_> = (0..8).map(|_| s.claim_id()).collect();
    let all = join_all(claims.iter().map(|claim| s.claim(claim, 10))).await.concat();
    assert_eq!(names(&all).len(), all.len());
    assert_eq!(all.len(), 40);
}

pub async fn revocations_come_soonest_attempt_first<S: SessionStore>(store: &S) {
    let s = with_pending(store, 4).await;
    let claim = s.claim_id();
    let waits = [("g00", 900), ("g01", 300), ("g02", 700), ("g03", 500)];
    for job in s.claim(&claim, 10).await {
        let (_, at) = waits.into_iter().find(|(id, _)| *id == job.guest.as_str()).expect("known");
        s.settle(&claim, &job, Fate::Retry { at: time(at), error: "x".to_owned() }).await;
    }
    let order: Vec<_> = s.pending().await.into_iter().map(|r| r.guest.to_string()).collect();
    assert_eq!(order, ["g01", "g03", "g02", "g00"]);
    assert!(s.pending().await.iter().all(|r| r.state == RevocationState::Pending));
}

pub async fn a_list_of_revocations_keeps_its_limit<S: SessionStore>(store: &S) {
    let s = with_pending(store, 10).await;
    let list =
        async |state, limit| store.revocations(s.at(), state, limit).await.expect("revocations");
    let first: Vec<_> =
        list(RevocationState::Pending, 3).await.into_iter().map(|r| r.guest).collect();
    assert_eq!(first, ["g00", "g01", "g02"].map(guest));
    make_stuck(&s).await;
    let stuck: Vec<_> =
        list(RevocationState::Stuck, 3).await.into_iter().map(|r| r.guest).collect();
    assert_eq!(stuck, ["g00", "g01", "g02"].map(guest), "by when they were filed");
    assert_eq!(list(RevocationState::Pending, 3).await, []);
}

pub async fn every_claim_is_served_in_the_end<S: SessionStore>(store: &S) {
    let mut s = with_pending(store, 32).await;
    // Sweepers tick at round times; whoever always waited behind the others would never be claimed.
    let mut seen = BTreeSet::new();
    for n in 0..300_u128 {
        s.now = i64::try_from(n).expect("small") * 32_000;
        let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
        seen.extend(s.claim(&ClaimId::from_random(id), 2).await.into_iter().map(|job| job.guest));
    }
    assert_eq!(seen.len(), 32);
}

pub async fn retry_makes_a_pending_one_due_now<S: SessionStore>(store: &S) {
    let mut s = with_pending(store, 1).await;
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 1).await;
    s.settle(&claim, &jobs[0], Fate::Retry { at: time(500_000), error: "x".to_owned() }).await;
    s.now = 100;
    assert!(store.retry(s.at(), &guest("g00")).await.expect("retry"));
    let pending = s.pending().await;
    assert_eq!((pending[0].attempts, pending[0].next_attempt_at), (0, Some(time(100))));
    assert_eq!(pending[0].enqueued_at, time(0), "it keeps its age");
    assert_eq!(s.claim(&s.claim_id(), 1).await[0].attempts, 0);
}

pub async fn retry_revives_a_stuck_one<S: SessionStore>(store: &S) {
    let mut s = with_pending(store, 1).await;
    make_stuck(&s).await;
    s.now = 5000;
    assert!(store.retry(s.at(), &guest("g00")).await.expect("retry"));
    assert_eq!(s.stuck().await, []);
    assert_eq!(s.filed().await, ["g00:ended"]);
    let stats = s.stats().await;
    assert_eq!((stats.pending_revocations, stats.stuck_revocations), (1, 0));
    assert_eq!(stats.oldest_pending, Some(time(0)));
    assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1);
}

pub async fn retry_takes_a_claimed_one_from_its_claimer<S: SessionStore>(store: &S) {
    let s = with_pending(store, 1).await;
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 1).await;
    assert!(store.retry(s.at(), &guest("g00")).await.expect("retry"));
    assert_eq!(s.settle(&claim, &jobs[0], Fate::Revoked).await.late, 1);
    assert_eq!(s.claim(&s.claim_id(), 1).await.len(), 1);
}

pub async fn retry_and_abandon_know_no_unknown_guest<S: SessionStore>(store: &S) {
    let s = with_pending(store, 1).await;
    s.issue(&device("live"), "live").await;
    for id in ["unknown", "live"] {
        assert!(!store.retry(s.at(), &guest(id)).await.expect("retry"));
        assert!(!store.abandon(s.at(), &guest(id)).await.expect("abandon"));
    }
    assert_eq!(s.stats().await.counter(Counter::Abandoned), 0);
    assert_eq!(s.filed().await, ["g00:ended"]);
}

pub async fn abandon_forgets_pending_and_stuck_ones<S: SessionStore>(store: &S) {
    let s = with_pending(store, 2).await;
    assert!(store.abandon(s.at(), &guest("g00")).await.expect("abandon"));
    assert!(!store.abandon(s.at(), &guest("g00")).await.expect("abandon"), "it is gone");
    assert_eq!(s.stats().await.oldest_pending, Some(time(1)));
    make_stuck(&s).await;
    assert_eq!(s.stuck().await.len(), 1);
    assert!(store.abandon(s.at(), &guest("g01")).await.expect("abandon"));
    let stats = s.stats().await;
    assert_eq!((stats.pending_revocations, stats.stuck_revocations), (0, 0));
    assert_eq!((stats.oldest_pending, stats.counter(Counter::Abandoned)), (None, 2));
}

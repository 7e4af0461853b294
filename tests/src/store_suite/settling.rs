//! What becomes of claimed revocations.

use guestpass_core::names::ClaimId;
use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{Counter, End, Fate, Job, Settled, Settlement};

use crate::scene::{Scene, device, guest, time};

async fn with_claimed<S: SessionStore>(store: &S, n: usize) -> (Scene<'_, S>, ClaimId, Vec<Job>) {
    let s = Scene::new(store);
    for n in 0..n {
        let device = device(&n.to_string());
        s.issue(&device, &format!("g{n}")).await;
        s.end(&device, End::All).await;
    }
    let claim = s.claim_id();
    let mut jobs = s.claim(&claim, n).await;
    assert_eq!(jobs.len(), n);
    jobs.sort_by(|a, b| a.guest.cmp(&b.guest));
    (s, claim, jobs)
}

fn retry(at: i64) -> Fate {
    Fate::Retry { at: time(at), error: "503 from Genesys: \"later\" \u{2026}\\/".to_owned() }
}

pub async fn a_confirmed_revocation_is_forgotten<S: SessionStore>(store: &S) {
    let (s, claim, jobs) = with_claimed(store, 1).await;
    let settled = s.settle(&claim, &jobs[0], Fate::Revoked).await;
    assert_eq!(settled, Settled { revoked: 1, ..Settled::default() });
    assert_eq!(s.pending().await, []);
    let stats = s.stats().await;
    assert_eq!((stats.pending_revocations, stats.counter(Counter::Revoked)), (0, 1));
    assert_eq!(stats.oldest_pending, None);
}

pub async fn a_failed_revocation_is_tried_again_when_it_says<S: SessionStore>(store: &S) {
    let (mut s, claim, jobs) = with_claimed(store, 1).await;
    let settled = s.settle(&claim, &jobs[0], retry(2000)).await;
    assert_eq!(settled, Settled { retried: 1, ..Settled::default() });
    let pending = s.pending().await;
    assert_eq!((pending[0].attempts, pending[0].next_attempt_at), (1, Some(time(2000))));
    assert_eq!(pending[0].last_error.as_deref(), Some("503 from Genesys: \"later\" \u{2026}\\/"));
    assert_eq!(pending[0].enqueued_at, time(0));
    s.now = 1999;
    assert_eq!(s.claim(&s.claim_id(), 1).await, []);
    s.now = 2000;
    assert_eq!(s.claim(&s.claim_id(), 1).await[0].attempts, 1);
    assert_eq!(s.stats().await.counter(Counter::RevokeFailed), 1);
}

pub async fn a_stuck_revocation_is_kept<S: SessionStore>(store: &S) {
    let (mut s, claim, jobs) = with_claimed(store, 1).await;
    let settled = s.settle(&claim, &jobs[0], Fate::Stuck { error: "403".to_owned() }).await;
    assert_eq!(settled, Settled { stuck: 1, ..Settled::default() });
    assert_eq!(s.pending().await, []);
    let stuck = s.stuck().await;
    assert_eq!((stuck[0].guest.clone(), stuck[0].attempts), (guest("g0"), 1));
    assert_eq!((stuck[0].next_attempt_at, stuck[0].last_error.as_deref()), (None, Some("403")));
    assert_eq!(stuck[0].reason.map(|reason| reason.as_str()), Some("ended"));
    s.now = 10_000_000;
    assert_eq!(s.claim(&s.claim_id(), 1).await, [], "it is not tried by itself");
    let stats = s.stats().await;
    assert_eq!((stats.counter(Counter::Stuck), stats.counter(Counter::RevokeFailed)), (1, 1));
    assert_eq!(
        (stats.pending_revocations, stats.stuck_revocations, stats.oldest_pending),
        (0, 1, None)
    );
}

pub async fn a_released_revocation_keeps_its_attempts<S: SessionStore>(store: &S) {
    let (mut s, claim, jobs) = with_claimed(store, 1).await;
    s.settle(&claim, &jobs[0], retry(100)).await;
    s.now = 100;
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 1).await;
    let settled = s.settle(&claim, &jobs[0], Fate::Released { at: time(700) }).await;
    assert_eq!(settled, Settled { released: 1, ..Settled::default() });
    let pending = s.pending().await;
    assert_eq!((pending[0].attempts, pending[0].next_attempt_at), (1, Some(time(700))));
    assert_eq!(s.stats().await.counter(Counter::RevokeFailed), 1);
}

pub async fn a_late_settle_changes_nothing<S: SessionStore>(store: &S) {
    let late = Settled { late: 1, ..Settled::default() };
    let (mut s, claim, jobs) = with_claimed(store, 1).await;
    s.now = 30_000;
    let before = (s.pending().await, s.stats().await);
    for fate in [
        Fate::Revoked,
        retry(1),
        Fate::Stuck { error: String::new() },
        Fate::Released { at: time(1) },
    ] {
        assert_eq!(s.settle(&claim, &jobs[0], fate).await, late);
    }
    assert_eq!((s.pending().await, s.stats().await), before);
    let second = s.claim_id();
    assert_eq!(s.claim(&second, 1).await.len(), 1);
    assert_eq!(s.settle(&claim, &jobs[0], Fate::Revoked).await, late, "another has it now");
    assert_eq!(s.settle(&second, &jobs[0], Fate::Revoked).await.revoked, 1);
    assert_eq!(s.stats().await.counter(Counter::Revoked), 1);
}

pub async fn settling_again_changes_nothing<S: SessionStore>(store: &S) {
    for fate in [Fate::Revoked, retry(900_000), Fate::Stuck { error: "x".to_owned() }] {
        let (s, claim, jobs) = with_claimed(store, 1).await;
        s.settle(&claim, &jobs[0], fate.clone()).await;
        let before = (s.pending().await, s.stuck().await, s.stats().await);
        assert_eq!(s.settle(&claim, &jobs[0], fate).await.late, 1);
        assert_eq!((s.pending().await, s.stuck().await, s.stats().await), before);
        store.abandon(s.at(), &guest("g0")).await.expect("abandon");
    }
}

pub async fn settling_under_anothers_claim_changes_nothing<S: SessionStore>(store: &S) {
    let (s, claim, jobs) = with_claimed(store, 1).await;
    assert_eq!(s.settle(&s.claim_id(), &jobs[0], Fate::Revoked).await.late, 1);
    assert_eq!(s.filed().await, ["g0:ended"]);
    assert_eq!(s.settle(&claim, &jobs[0], Fate::Revoked).await.revoked, 1);
}

pub async fn a_mixed_batch_is_settled_each_by_its_fate<S: SessionStore>(store: &S) {
    let (s, claim, jobs) = with_claimed(store, 5).await;
    let fates = [
        Fate::Revoked,
        retry(1000),
        Fate::Stuck { error: "x".to_owned() },
        Fate::Released { at: time(50) },
        Fate::Revoked,
    ];
    let mut batch: Vec<_> = jobs
        .iter()
        .zip(fates)
        .map(|(job, fate)| Settlement { guest: job.guest.clone(), shard: job.shard, fate })
        .collect();
    batch.push(batch[0].clone());
    let settled = store.settle(s.at(), &claim, &batch).await.expect("settle");
    assert_eq!(settled, Settled { revoked: 2, retried: 1, stuck: 1, released: 1, late: 1 });
    assert_eq!(s.filed().await, ["g1:ended", "g3:ended"]);
    assert_eq!(s.stuck().await.len(), 1);
}

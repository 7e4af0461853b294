//! Revocations that cannot be read: the guest's id is all that revoking needs, so it is revoked all the same.

use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{End, Fate, RevocationState};
use guestpass_tests::scene::{START, Scene, device, guest};

use crate::support::fresh_store;

#[tokio::test]
async fn names_that_are_no_guests_do_not_hold_up_claims() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.issue(&device("a"), "g1").await;
    s.end(&device("a"), End::All).await;
    for name in [&b"a/b"[..], b"..", b"\xff\xfe", &[b'x'; 129]] {
        fresh.redis::<()>("ZADD", ":outbox", &[b"5", name]);
        fresh.redis::<()>("HSET", ":jobs", &[name, b"{}"]);
    }
    assert_eq!(s.pending().await.len(), 1, "they are not listed");
    s.now = 1;
    let jobs = s.claim(&s.claim_id(), 10).await;
    assert_eq!(jobs.iter().map(|job| job.guest.as_str()).collect::<Vec<_>>(), ["g1"]);
    assert_eq!(fresh.read::<u64>("ZCARD", ":outbox"), 1);
    assert_eq!(fresh.read::<u64>("HLEN", ":jobs"), 1);
}

#[tokio::test]
async fn an_unreadable_job_is_revoked_all_the_same() {
    let nested = [vec![b'['; 2000], vec![b']'; 2000]].concat();
    let almost = [&br#"{"a":"#[..], &[b'['; 998], &[b']'; 998], b"}"].concat();
    let jobs: [&[u8]; 16] = [
        b"",
        b"x",
        b"[]",
        b"17",
        b"null",
        b"\xff\xfe",
        &nested,
        &almost,
        br#"{"guestId":"other"}"#,
        br#"{"attempts":-1,"enqueuedAt":-1}"#,
        br#"{"attempts":1e308,"enqueuedAt":1e308,"reason":7,"lastError":{}}"#,
        br#"{"attempts":1e999,"enqueuedAt":1750000020000}"#,
        br#"{"attempts":NaN,"enqueuedAt":Infinity,"x":NaN}"#,
        br#"{"attempts":"inf","enqueuedAt":"nan","claim":[]}"#,
        br#"{"attempts":null,"enqueuedAt":null,"reason":null,"claim":null}"#,
        br#"{"attempts":2.5,"enqueuedAt":1750000020000,"reason":"evicted"}"#,
    ];
    for job in jobs {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        let shown = String::from_utf8_lossy(&job[..job.len().min(60)]).into_owned();
        for (id, fate) in [("g1", 0), ("g2", 1), ("g3", 2)] {
            fresh.redis::<()>("HSET", ":jobs", &[id.as_bytes(), job]);
            fresh.redis::<()>("ZADD", ":outbox", &[START.to_string(), id.to_owned()]);
            assert_eq!(s.pending().await.len(), 1, "{shown} is listed");
            assert_eq!(s.pending().await[0].guest, guest(id));
            let claim = s.claim_id();
            let claimed = s.claim(&claim, 10).await;
            assert_eq!(claimed.len(), 1, "{shown}");
            let fate = match fate {
                0 => Fate::Revoked,
                1 => Fate::Retry { at: s.at().now, error: "x".to_owned() },
                _ => Fate::Stuck { error: "x".to_owned() },
            };
            assert_eq!(s.settle(&claim, &claimed[0], fate).await.late, 0, "{shown}");
            if id == "g2" {
                assert!(fresh.store.retry(s.at(), &guest(id)).await.expect("retry"), "{shown}");
                assert!(fresh.store.abandon(s.at(), &guest(id)).await.expect("abandon"), "{shown}");
            }
            s.now += 60_000;
        }
        assert_eq!(s.stuck().await.len(), 1, "{shown}");
        assert!(fresh.store.retry(s.at(), &guest("g3")).await.expect("retry"), "{shown}");
        assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn an_unreadable_stuck_job_is_listed_retried_and_abandoned() {
    for job in [&b"x"[..], b"\xff", b"[]", b""] {
        let fresh = fresh_store().await;
        let s = Scene::new(&fresh.store);
        for id in ["g1", "g2"] {
            fresh.redis::<()>("HSET", ":stuck", &[id.as_bytes(), job]);
        }
        let stuck = s.stuck().await;
        assert_eq!((stuck.len(), stuck[0].reason), (2, None));
        assert!(fresh.store.retry(s.at(), &guest("g1")).await.expect("retry"));
        assert!(fresh.store.abandon(s.at(), &guest("g2")).await.expect("abandon"));
        assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1);
    }
}

#[tokio::test]
async fn an_entry_without_a_job_is_revoked_all_the_same() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    for id in ["g1", "g2"] {
        fresh.redis::<()>("ZADD", ":outbox", &["5", id]);
    }
    let pending = s.pending().await;
    assert_eq!((pending.len(), pending[0].reason, pending[0].attempts), (2, None, 0));
    assert!(fresh.store.abandon(s.at(), &guest("g2")).await.expect("abandon"));
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 10).await;
    assert_eq!(s.settle(&claim, &jobs[0], Fate::Revoked).await.revoked, 1);
    assert_eq!(s.stats().await.oldest_pending, None);
    let listed = fresh.store.revocations(s.at(), RevocationState::Pending, 10).await.expect("list");
    assert_eq!(listed, []);
}

#[tokio::test]
async fn a_job_without_an_entry_is_healed_when_it_is_filed_again() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    s.issue(&device("a"), "g1").await;
    fresh.redis::<()>("HSET", ":jobs", &["g1", r#"{"guestId":"g1","attempts":0}"#]);
    s.end(&device("a"), End::All).await;
    assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1);
}

//! The tutorial's data: members with only `guestId` and `guestToken`, without anything beside them. They
//! count, are evicted, expire and are revoked like any other.

use guestpass_core::store::ops::{AbortOutcome, Counter, End};
use guestpass_tests::scene::{START, Scene, device, guest, proof, time};

use crate::support::{Fresh, fresh_store};

const HOUR: i64 = 3_600_000;

/// What the tutorial leaves: `n` members, the last of them now.
fn tutorial(fresh: &Fresh, n: u64) {
    for i in 1..=n {
        let member = if i % 2 == 1 {
            format!(r#"{{"guestId":"old{i}","guestToken":"token{i}"}}"#)
        } else {
            format!(r#"{{"guestToken": "token{i}", "guestId": "old{i}"}}"#)
        };
        fresh.redis::<()>("ZADD", "device-a", &[(START - n + i).to_string(), member]);
    }
}

#[tokio::test]
async fn they_count_and_go_first() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    tutorial(&fresh, 3);
    assert_eq!(s.issue(&device("a"), "new").await.evicted, 1);
    assert_eq!(s.guests(&device("a")).await, ["old2", "old3", "new"]);
    assert_eq!(s.issue(&device("a"), "newer").await.evicted, 1);
    assert_eq!(s.filed().await, ["old1:evicted", "old2:evicted"]);
}

#[tokio::test]
async fn more_than_the_cap_are_evicted_at_the_first_commit() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    tutorial(&fresh, 8);
    assert_eq!(s.issue(&device("a"), "new").await.evicted, 6);
    assert_eq!(s.guests(&device("a")).await, ["old7", "old8", "new"]);
}

#[tokio::test]
async fn they_are_listed_renewed_and_ended_by_their_tokens() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    tutorial(&fresh, 2);
    let sessions = s.list(&device("a")).await;
    assert_eq!(sessions[0].created_at, time(-1));
    assert_eq!(sessions[0].expires_at, time(HOUR));
    s.now = 1000;
    assert_eq!(s.renew(&device("a"), "old2", &proof("token1")).await, None);
    assert_eq!(s.renew(&device("a"), "old2", &proof("token2")).await, Some(time(HOUR + 1000)));
    let (old1, own) = (guest("old1"), proof("token1"));
    assert_eq!(s.end(&device("a"), End::Own(&old1, &own)).await.ended, 1);
    assert_eq!(s.filed().await, ["old1:ended"]);
}

#[tokio::test]
async fn without_an_expiry_they_get_a_whole_one_from_whatever_touches_them() {
    for touch in ["admit", "list", "renew", "end", "expire"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        tutorial(&fresh, 1);
        match touch {
            "admit" => {
                let flight = s.flight();
                s.admit(&device("a"), &flight).await;
                s.abort(&device("a"), &flight, None, AbortOutcome::Refused).await;
            }
            "list" => drop(s.list(&device("a")).await),
            "renew" => assert_eq!(s.renew(&device("a"), "old1", &proof("wrong")).await, None),
            "end" => assert_eq!(s.end(&device("a"), End::One(&guest("other"))).await.ended, 0),
            _ => {
                use guestpass_core::seams::SessionStore as _;
                fresh.store.expire(s.at(), &[device("a")]).await.expect("expire");
            }
        }
        assert_eq!(
            fresh.redis::<u64>("ZSCORE", ":due", &["device-a"]),
            START + 3_600_000,
            "{touch}"
        );
        s.now = HOUR - 1;
        assert_eq!(
            s.guests(&device("a")).await,
            ["old1"],
            "{touch}: touching again adopts no more"
        );
        s.now = HOUR;
        assert_eq!(s.list(&device("a")).await, [], "{touch}");
        assert_eq!(s.expire_due().await.sessions, 1, "{touch}");
        assert_eq!(s.filed().await, ["old1:expired"], "{touch}");
    }
}

#[tokio::test]
async fn their_own_shorter_ttl_is_kept_and_outlived() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    tutorial(&fresh, 2);
    fresh.redis::<()>("EXPIRE", "device-a", &["600"]);
    let expires = s.list(&device("a")).await[0].expires_at;
    assert!(expires <= time(600_000) && expires > time(540_000), "{expires:?}");
    let left: i64 = fresh.read("TTL", "device-a");
    assert!(left > 3600, "the key waits for the sweep: {left}");
    s.now = 600_000;
    assert_eq!(s.expire_due().await.sessions, 2);
    assert_eq!(s.filed().await, ["old1:expired", "old2:expired"]);
}

#[tokio::test]
async fn their_own_longer_ttl_is_cut() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    tutorial(&fresh, 1);
    fresh.redis::<()>("EXPIRE", "device-a", &["500000"]);
    assert_eq!(s.list(&device("a")).await[0].expires_at, time(HOUR));
}

#[tokio::test]
async fn a_commit_slides_them_too() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    tutorial(&fresh, 1);
    fresh.redis::<()>("EXPIRE", "device-a", &["600"]);
    s.now = 1000;
    s.issue(&device("a"), "new").await;
    assert!(
        s.list(&device("a")).await.iter().all(|session| session.expires_at == time(HOUR + 1000))
    );
}

#[tokio::test]
async fn a_maximum_age_counts_for_them() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.limits.max_age_ms = 60_000;
    tutorial(&fresh, 2);
    s.admit(&device("a"), &s.flight()).await;
    s.now = 59_999;
    assert_eq!(s.guests(&device("a")).await, ["old2"]);
    assert_eq!(s.expire_due().await.sessions, 1);
    s.now = 60_000;
    assert_eq!(s.expire_due().await.sessions, 1);
    assert_eq!(s.stats().await.counter(Counter::Expired), 2);
}

#[tokio::test]
async fn a_late_commit_on_an_untouched_device_adopts_it() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    tutorial(&fresh, 3);
    // The admit is long forgotten: the commit is the first to see the device.
    s.commit(&device("a"), &s.flight(), &guest("new")).await;
    assert_eq!(s.guests(&device("a")).await, ["old2", "old3", "new"]);
    assert_eq!(s.filed().await, ["old1:evicted"]);
}

//! A key of the wrong type is an error of the operation that needs it, half done or not at all, and
//! nothing to anybody else. No guest is lost by it.

use guestpass_core::seams::{SessionStore as _, StoreFault};
use guestpass_core::store::ops::{Admission, Admit, Commit, End};
use guestpass_tests::scene::{Scene, device, guest, key, token_of};

use crate::support::{Fresh, TestStore, fresh_store};

fn spoil(fresh: &Fresh, name: &str) {
    fresh.read::<()>("DEL", name);
    fresh.redis::<()>("RPUSH", name, &["of the wrong type"]);
}

async fn try_admit(s: &Scene<'_, TestStore>, name: &str) -> Result<Admission, StoreFault> {
    let key = key("k", "body");
    let admit = Admit {
        device: &device(name),
        flight: &s.flight(),
        idempotency: Some(&key),
        address_hash: Some("ip"),
    };
    s.store.admit(s.at(), &admit).await
}

async fn try_commit(s: &Scene<'_, TestStore>, name: &str, id: &str) -> Result<(), StoreFault> {
    let guest = guest(id);
    let commit = Commit {
        device: &device(name),
        flight: &s.flight(),
        guest: &guest,
        token: &token_of(&guest),
        idempotency: None,
    };
    s.store.commit(s.at(), &commit).await.map(drop)
}

fn refused<T: std::fmt::Debug>(result: &Result<T, StoreFault>) -> bool {
    matches!(result, Err(StoreFault::Refused(_)))
}

#[tokio::test]
async fn a_spoilt_key_of_a_device_refuses_the_admit_and_leaves_other_devices_alone() {
    for name in ["device-a", "device-a:flight", "device-a:idem:k", "device-a:rate"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        s.limits.rate_per_device = 10;
        spoil(&fresh, name);
        let answer = try_admit(&s, "a").await;
        assert!(refused(&answer), "{name}: {answer:?}");
        assert_eq!(s.stats().await.in_flight, 0, "{name}");
        assert_eq!(try_admit(&s, "b").await, Ok(Admission::Granted), "{name}");
        s.issue(&device("b"), "g1").await;
    }
}

#[tokio::test]
async fn a_spoilt_device_does_not_block_the_sweep() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    for name in ["a", "b", "c"] {
        s.issue(&device(name), &format!("g-{name}")).await;
    }
    spoil(&fresh, "device-b");
    for result in [
        fresh.store.list(s.at(), &device("b")).await.map(drop),
        fresh.store.end(s.at(), &device("b"), &End::All).await.map(drop),
        try_commit(&s, "b", "g").await,
    ] {
        assert!(refused(&result), "{result:?}");
    }
    s.now = 3_600_000;
    let expired = s.expire_due().await;
    assert_eq!((expired.sessions, expired.set_aside), (2, 1));
    assert_eq!(s.filed().await, ["g-a:expired", "g-c:expired"]);
    assert_eq!(fresh.store.due(s.at(), 10).await.expect("due").devices, []);
}

#[tokio::test]
async fn no_session_goes_where_its_revocation_cannot_be_filed() {
    for name in [":outbox", ":jobs", ":ages"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        s.limits.cap = 2;
        s.issue(&device("a"), "g1").await;
        s.issue(&device("a"), "g2").await;
        spoil(&fresh, name);
        let answer = try_commit(&s, "a", "g3").await;
        assert!(refused(&answer), "{name}: {answer:?}");
        assert_eq!(s.guests(&device("a")).await, ["g1", "g2"], "{name}: nobody was evicted");
        let answer = fresh.store.end(s.at(), &device("a"), &End::All).await;
        assert!(refused(&answer), "{name}: {answer:?}");
        assert_eq!(s.guests(&device("a")).await, ["g1", "g2"], "{name}: nobody was ended");
        s.now = 3_600_000;
        let answer = fresh.store.expire(s.at(), &[device("a")]).await;
        assert!(refused(&answer), "{name}: {answer:?}");
        // Mended, everything that was begun is finished.
        fresh.read::<()>("DEL", name);
        assert_eq!(s.expire_due().await.sessions, 2, "{name}");
        assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 2, "{name}: both are revoked");
    }
}

#[tokio::test]
async fn a_spoilt_schedule_refuses_the_commit_before_anything_is_done() {
    for name in [":due", ":slide"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        s.limits.cap = 1;
        s.issue(&device("a"), "g1").await;
        spoil(&fresh, name);
        let answer = try_commit(&s, "a", "g2").await;
        assert!(refused(&answer), "{name}: {answer:?}");
        fresh.read::<()>("DEL", name);
        assert_eq!(s.guests(&device("a")).await, ["g1"], "{name}");
        assert_eq!(s.filed().await, [] as [&str; 0], "{name}");
    }
}

#[tokio::test]
async fn a_spoilt_outbox_stops_claims_and_nothing_else() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    spoil(&fresh, ":outbox");
    assert!(refused(&fresh.store.claim(s.at(), &s.claim_id(), 10).await));
    assert!(refused(&fresh.store.stats(s.at()).await));
    s.issue(&device("a"), "g1").await;
    assert_eq!(s.guests(&device("a")).await, ["g1"]);
    assert_eq!(s.expire_due().await.sessions, 0);
}

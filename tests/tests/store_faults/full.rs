//! A Redis that is full and evicts nothing: no new create is admitted; what was admitted is finished, and
//! what frees memory goes on.

use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{AbortOutcome, Admission, End, Fate};
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::scene::{START, Scene, device, guest, key, proof_of, time};

use crate::{is_refused, store_on, try_admit};

fn fill(server: &RedisServer) {
    server.query::<()>(&["CONFIG", "SET", "maxmemory", "1000"]);
}

fn empty(server: &RedisServer) {
    server.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
}

#[tokio::test]
async fn no_create_is_admitted_and_nothing_is_half_done() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let mut s = Scene::new(&store);
    s.limits.rate_per_device = 10;
    s.issue(&device("a"), "g1").await;
    server.query::<()>(&[
        "ZADD",
        "faults:device-old",
        &START.to_string(),
        r#"{"guestId":"o","guestToken":"t"}"#,
    ]);
    let before = s.stats().await;
    let keys: Vec<String> = server.query(&["KEYS", "*"]);
    fill(&server);
    for name in ["a", "new", "old"] {
        for _ in 0..2 {
            let answer = try_admit(&s, name).await;
            assert!(is_refused(&answer), "{name}: {answer:?}");
        }
    }
    assert_eq!(s.stats().await, before);
    assert_eq!(server.query::<Vec<String>>(&["KEYS", "*"]).len(), keys.len());
    assert_eq!(s.guests(&device("a")).await, ["g1"]);
    empty(&server);
    assert_eq!(try_admit(&s, "a").await, Ok(Admission::Granted));
}

#[tokio::test]
async fn what_was_admitted_is_committed_or_taken_back() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    for n in 1..=3 {
        s.issue(&device("a"), &format!("g{n}")).await;
    }
    let flights = [s.flight(), s.flight(), s.flight()];
    let k = key("k", "body");
    s.admit_keyed(&device("a"), &flights[0], &k).await;
    s.admit(&device("a"), &flights[1]).await;
    s.admit(&device("a"), &flights[2]).await;
    fill(&server);
    assert_eq!(s.commit_keyed(&device("a"), &flights[0], &guest("g4"), Some(&k)).await.evicted, 1);
    s.abort(&device("a"), &flights[1], None, AbortOutcome::CommitFailed(&guest("lost"))).await;
    s.abort(&device("a"), &flights[2], None, AbortOutcome::Orphaned).await;
    assert_eq!(s.filed().await, ["g1:evicted", "lost:commit_failed"]);
    assert_eq!(s.stats().await.in_flight, 0);
}

#[tokio::test]
async fn sessions_are_renewed_ended_expired_and_revoked() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let mut s = Scene::new(&store);
    s.limits.max_age_ms = 7_200_000;
    for name in ["a", "b"] {
        s.issue(&device(name), &format!("g-{name}")).await;
    }
    for id in ["x1", "x2", "x3"] {
        s.issue(&device("c"), id).await;
    }
    fill(&server);
    s.now = 1000;
    let renewed = s.renew(&device("a"), "g-a", &proof_of(&guest("g-a"))).await;
    assert_eq!(renewed, Some(time(3_601_000)));
    assert_eq!(s.end(&device("a"), End::All).await.ended, 1);
    s.now = 3_600_000;
    assert_eq!(s.expire_due().await.sessions, 4);
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 10).await;
    assert_eq!(jobs.len(), 5);
    let settled =
        s.settle(&claim, &jobs[0], Fate::Retry { at: time(0), error: "x".to_owned() }).await;
    assert_eq!(settled.retried, 1);
    assert_eq!(s.settle(&claim, &jobs[1], Fate::Stuck { error: "x".to_owned() }).await.stuck, 1);
    for job in &jobs[2..] {
        assert_eq!(s.settle(&claim, job, Fate::Revoked).await.revoked, 1);
    }
    assert!(store.retry(s.at(), &jobs[1].guest).await.expect("retry"));
    assert!(store.abandon(s.at(), &jobs[0].guest).await.expect("abandon"));
    assert_eq!(store.cool_down(s.at(), Some(time(9_000_000))).await, Ok(time(9_000_000)));
    assert_eq!(store.cool_down(s.at(), Some(time(9_500_000))).await, Ok(time(9_500_000)));
}

//! A server that is killed, frozen or cut off, and the same client afterwards.

use std::time::Duration;

use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{Admission, Commit, Committed, End};
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::scene::{Scene, device, guest, token_of};

use crate::{TestStore, is_gone, store_on, try_admit};

/// The deadline of a command and what a busy machine adds to it.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// How long the client may take to find its server again.
const FOUND_WITHIN: Duration = Duration::from_secs(10);

async fn recovers(s: &Scene<'_, TestStore>, name: &str) {
    eventually("the client recovers", FOUND_WITHIN, async || {
        (try_admit(s, name).await == Ok(Admission::Granted)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_is_told_in_time_and_found_again() {
    let mut server = RedisServer::start_appendonly();
    let store = store_on(&server);
    let s = Scene::new(&store);
    s.issue(&device("a"), "g1").await;
    server.kill_hard();
    for attempt in 0..4 {
        let (answer, took) = timed(try_admit(&s, "b")).await;
        assert!(is_gone(&answer), "{attempt}: {answer:?}");
        assert!(took < TOLD_WITHIN, "{attempt}: {took:?}");
    }
    server.restart();
    recovers(&s, "c").await;
    assert_eq!(s.guests(&device("a")).await, ["g1"]);
}

#[tokio::test]
async fn a_server_that_was_never_there_is_told_in_time_and_found() {
    let mut server = RedisServer::start();
    server.kill_hard();
    let store = store_on(&server);
    let s = Scene::new(&store);
    let (answer, took) = timed(try_admit(&s, "a")).await;
    assert!(is_gone(&answer), "{answer:?}");
    assert!(took < TOLD_WITHIN, "{took:?}");
    server.restart();
    recovers(&s, "a").await;
}

#[tokio::test]
async fn a_restart_between_two_calls_costs_no_fault_for_long() {
    let mut server = RedisServer::start_appendonly();
    let store = store_on(&server);
    let s = Scene::new(&store);
    for n in 1..=3 {
        s.issue(&device("a"), &format!("g{n}")).await;
    }
    s.end(&device("a"), End::One(&guest("g2"))).await;
    server.restart();
    recovers(&s, "b").await;
    assert_eq!(s.guests(&device("a")).await, ["g1", "g3"]);
    assert_eq!(s.filed().await, ["g2:ended"], "a synced revocation survives the crash");
}

#[tokio::test]
async fn a_frozen_server_is_told_in_time_and_used_again() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    let (device, flight, g1) = (device("a"), s.flight(), guest("g1"));
    s.admit(&device, &flight).await;
    server.pause();
    let commit = Commit {
        device: &device,
        flight: &flight,
        guest: &g1,
        token: &token_of(&g1),
        idempotency: None,
    };
    let (answer, took) = timed(store.commit(s.at(), &commit)).await;
    assert!(is_gone(&answer), "{answer:?}");
    assert!(took >= Duration::from_millis(1900) && took < TOLD_WITHIN, "{took:?}");
    server.resume();
    // The commit that nobody waited for may have been done: repeating it is the same commit.
    let again = eventually("the client recovers", FOUND_WITHIN, async || {
        store.commit(s.at(), &commit).await.ok()
    });
    let Committed { created_at, evicted, .. } = again.await;
    assert_eq!((created_at, evicted), (s.at().now, 0));
    assert_eq!(s.guests(&device).await, ["g1"]);
    assert_eq!(s.stats().await.counter(guestpass_core::store::ops::Counter::Issued), 1);
}

#[tokio::test]
async fn many_calls_at_once_to_a_frozen_server_are_all_told_in_time() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    s.issue(&device("a"), "g1").await;
    server.pause();
    let names: Vec<_> = (0..50).map(|n| format!("n{n}")).collect();
    let calls = names.iter().map(|name| timed(try_admit(&s, name)));
    for (answer, took) in futures_util::future::join_all(calls).await {
        assert!(is_gone(&answer), "{answer:?}");
        assert!(took < TOLD_WITHIN, "{took:?}");
    }
    server.resume();
    recovers(&s, "after").await;
}

#[tokio::test]
async fn a_cut_connection_is_mended_without_a_fault() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    for n in 0..20 {
        s.issue(&device("a"), &format!("g{n}")).await;
        server.query::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    assert_eq!(s.guests(&device("a")).await, ["g17", "g18", "g19"]);
    assert_eq!(s.stats().await.counter(guestpass_core::store::ops::Counter::Issued), 20);
}

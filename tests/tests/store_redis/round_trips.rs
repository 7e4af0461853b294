//! What one operation costs, and that scripts come back when the server forgets them.

use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::{AbortOutcome, End};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::scene::{Scene, device, guest, key, proof_of};

/// Calls of a command since the statistics were reset.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let info: String = server.query(&["INFO", "commandstats"]);
    let line =
        info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
}

fn store_on(server: &RedisServer) -> RedisStore<RedisKv> {
    RedisStore::new(RedisKv::new(&server.target()).expect("a valid URL"), Keys::new("trips:", 1))
}

/// Calls of all commands since the statistics were reset, those within scripts too.
fn all_calls(server: &RedisServer) -> u64 {
    let info: String = server.query(&["INFO", "commandstats"]);
    let counted = info.lines().filter(|line| !line.starts_with("cmdstat_config"));
    counted
        .filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok())
        .sum()
}

async fn everything<S: SessionStore>(s: &mut Scene<'_, S>) -> u64 {
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    s.admit_full(&device, &flight, Some(&k), Some("ip")).await;
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    s.abort(&device, &flight, Some(&k), AbortOutcome::Refused).await;
    s.renew(&device, "g1", &proof_of(&guest("g1"))).await;
    s.list(&device).await;
    s.end(&device, End::All).await;
    let due = s.store.due(s.at(), 10).await.expect("due");
    s.store.expire(s.at(), &due.devices).await.expect("expire");
    s.store.expire(s.at(), std::slice::from_ref(&device)).await.expect("expire");
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 10).await;
    s.settle(&claim, &jobs[0], guestpass_core::store::ops::Fate::Revoked).await;
    s.pending().await;
    s.store.retry(s.at(), &guest("g1")).await.expect("retry");
    s.store.abandon(s.at(), &guest("g1")).await.expect("abandon");
    s.store.cool_down(s.at(), None).await.expect("cool_down");
    s.stats().await;
    // The first `expire` had no device, and so nothing to say.
    15
}

#[tokio::test]
async fn each_operation_is_one_round_trip() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let mut s = Scene::new(&store);
    s.limits.rate_per_device = 100;
    s.limits.rate_per_ip = 100;
    let operations = everything(&mut s).await;
    assert_eq!(calls(&server, "eval"), operations, "the first time, each script is loaded");
    server.query::<()>(&["CONFIG", "RESETSTAT"]);
    s.now = 1000;
    assert_eq!(everything(&mut s).await, operations);
    assert_eq!(calls(&server, "evalsha"), operations);
    assert_eq!(calls(&server, "eval"), 0);
}

#[tokio::test]
async fn an_issue_is_two_round_trips() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    s.issue(&device("a"), "g0").await;
    server.query::<()>(&["CONFIG", "RESETSTAT"]);
    for n in 1..=10 {
        s.issue(&device("a"), &format!("g{n}")).await;
    }
    assert_eq!((calls(&server, "evalsha"), calls(&server, "eval")), (20, 0));
}

#[tokio::test]
async fn an_issue_runs_no_more_commands_than_it_must() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let s = Scene::new(&store);
    s.issue(&device("warm"), "g").await;
    let cost = async |name: &str, guest: &str| {
        server.query::<()>(&["CONFIG", "RESETSTAT"]);
        s.issue(&device(name), guest).await;
        all_calls(&server)
    };
    // Two calls of scripts, 6 commands in admit, 8 in commit.
    assert_eq!(cost("new", "g0").await, 16);
    assert_eq!(cost("new", "g1").await, 20, "admit and commit look at what there is");
    cost("new", "g2").await;
    assert_eq!(cost("new", "g3").await, 25, "an evicted session is filed in three places");
    assert_eq!(cost("new", "g4").await, 25);
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let mut s = Scene::new(&store);
    for n in 1..=4 {
        server.query::<()>(&["SCRIPT", "FLUSH"]);
        s.issue(&device("b"), &format!("g{n}")).await;
        server.query::<()>(&["SCRIPT", "FLUSH"]);
        assert_eq!(s.list(&device("b")).await.len(), n.min(3));
    }
    s.now = 1000;
    server.query::<()>(&["SCRIPT", "FLUSH"]);
    everything(&mut s).await;
}

//! Redis fails under the running binary: callers are told at once, nothing is created without leave, and all
//! is well again soon after Redis is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use genesys_sim::{CallKind, SimConfig};
use guestpass_tests::host::{Host, Settings, issue, start_sim};
use guestpass_tests::http_client::Reply;
use guestpass_tests::http_suite::{Session, device, figure, guest_ids, listed};
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::{ms, pause};

const BRISK: Settings<'_> = &[("REQUEST_DEADLINE_MS", "3000")];

async fn start_on(redis: &RedisServer) -> Host {
    let sim = start_sim(SimConfig::default()).await;
    let url = redis.url();
    let settings = [BRISK, &[("REDIS_URL", &url)]].concat();
    let origin = Origin::start(&sim, &settings).await;
    Host::new(origin.addr, sim, origin)
}

/// The answer of a store that fails.
fn is_unavailable(reply: &Reply) {
    let problem = reply.problem(503, "store_unavailable");
    assert_eq!(problem.retry_after, Some(1));
}

/// An issue that the store refuses; nothing is created.
async fn is_refused(host: &Host, fingerprint: &str) {
    let before = host.sim.count(CallKind::Create);
    is_unavailable(&host.issue(fingerprint).await);
    assert_eq!(host.sim.count(CallKind::Create), before, "created without leave");
}

/// Within 5 s from now issues succeed again.
async fn recovers(host: &Host, fingerprint: &str) {
    eventually("issues succeed again", ms(5000), async || {
        let reply = host.issue(fingerprint).await;
        if reply.status == 201 {
            return Some(());
        }
        is_unavailable(&reply);
        None
    })
    .await;
    eventually("it is ready again", ms(1000), async || {
        (host.get("/readyz").await.status == 200).then_some(())
    })
    .await;
}

/// Every guest that lives at Genesys is a session of one of these devices, or about to be revoked.
async fn nobody_is_lost(host: &Host, devices: &[String]) {
    eventually("every guest is known", ms(12_000), async || {
        let mut known = Vec::new();
        for fingerprint in devices {
            known.extend(guest_ids(&listed(host, fingerprint).await));
        }
        let pending = host.operate("GET", "/v1/revocations?limit=1000").await.expect(200).json();
        known.extend(guest_ids(pending["revocations"].as_array().expect("a list")));
        let live = host.sim.live_guests();
        let unknown = live.iter().filter(|guest| !known.contains(&guest.id)).count() as u64;
        (unknown <= figure(host, "counters", "orphaned").await).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_down_at_start_is_waited_for() {
    let mut redis = RedisServer::start();
    redis.kill_hard();
    let host = start_on(&redis).await;
    is_refused(&host, &device()).await;
    assert_eq!(host.get("/healthz").await.status, 200);
    assert_eq!(host.get("/readyz").await.status, 503);
    redis.restart();
    recovers(&host, &device()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_under_traffic_loses_nobody() {
    let mut redis = RedisServer::start_appendonly();
    let host = Arc::new(start_on(&redis).await);
    let devices: Vec<_> = (0..4).map(|_| device()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = devices
        .iter()
        .map(|fingerprint| {
            let (host, stop, request) = (host.clone(), stop.clone(), issue(fingerprint));
            tokio::spawn(async move {
                let (mut issued, mut refused) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let (reply, took) = timed(host.send(&request)).await;
                    assert!(took < ms(4500), "{took:?}");
                    if reply.status == 201 {
                        issued += 1;
                    } else {
                        is_unavailable(&reply);
                        refused += 1;
                    }
                    pause(ms(10)).await;
                }
                (issued, refused)
            })
        })
        .collect();
    pause(ms(500)).await;
    for _ in 0..2 {
        redis.kill_hard();
        pause(ms(600)).await;
        redis.restart();
        recovers(&host, &devices[0]).await;
        pause(ms(500)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for visitor in visitors {
        let (issued, refused) = visitor.await.expect("only 201 and 503 are answered");
        assert!(issued > 0 && refused > 0, "{issued} issued, {refused} refused");
    }
    nobody_is_lost(&host, &devices).await;
    for fingerprint in &devices {
        assert!(listed(&host, fingerprint).await.len() <= 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_frozen_is_not_waited_for() {
    let redis = RedisServer::start();
    let host = start_on(&redis).await;
    let fingerprint = device();
    let first = Session::issue(&host, &fingerprint).await;
    redis.pause();
    let asked = async |fingerprint: &str| {
        let (reply, took) = timed(host.issue(fingerprint)).await;
        assert!(took < ms(4500), "{took:?}");
        is_unavailable(&reply);
    };
    let others = [device(), device()];
    // One device more often than it has places in flight: they must not stay taken.
    tokio::join!(
        asked(&fingerprint),
        asked(&fingerprint),
        asked(&fingerprint),
        asked(&others[0]),
        asked(&others[1]),
        pause(ms(10_000)),
    );
    assert_eq!(host.get("/healthz").await.status, 200);
    redis.resume();
    assert_eq!(host.sim.count(CallKind::Create), 1, "created without leave");
    recovers(&host, &others[0]).await;
    eventually("no place stays taken", ms(5000), async || {
        let reply = host.issue(&fingerprint).await;
        (reply.status == 201).then_some(())
    })
    .await;
    let listed = guest_ids(&listed(&host, &fingerprint).await);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], first.guest_id);
    assert_eq!(host.sim.live_guests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_were_flushed_are_sent_again() {
    let redis = RedisServer::start();
    let host = start_on(&redis).await;
    let fingerprint = device();
    for _ in 0..3 {
        assert_eq!(Session::issue(&host, &fingerprint).await.evicted, 0);
        redis.query::<()>(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(listed(&host, &fingerprint).await.len(), 3);
    assert_eq!(host.sim.live_guests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_full_admits_nobody() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let host = start_on(&redis).await;
    let fingerprint = device();
    let session = Session::issue(&host, &fingerprint).await;
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1000"]);
    is_refused(&host, &fingerprint).await;
    is_refused(&host, &device()).await;
    assert_eq!(guest_ids(&listed(&host, &fingerprint).await), [session.guest_id]);
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    recovers(&host, &fingerprint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_became_a_replica_admits_nobody() {
    let (master, redis) = (RedisServer::start(), RedisServer::start());
    let host = start_on(&redis).await;
    let fingerprint = device();
    assert_eq!(Session::issue(&host, &fingerprint).await.evicted, 0);
    redis.query::<()>(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    is_refused(&host, &fingerprint).await;
    is_refused(&host, &device()).await;
    redis.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    recovers(&host, &fingerprint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_key_of_another_type_fails_that_device_alone() {
    let redis = RedisServer::start();
    let host = start_on(&redis).await;
    let (odd, other) = (device(), device());
    redis.query::<()>(&["SET", &format!("msg:guest:{odd}"), "not a sorted set"]);
    for _ in 0..4 {
        is_refused(&host, &odd).await;
        assert_eq!(host.issue(&other).await.status, 201);
    }
    assert_eq!(host.get("/readyz").await.status, 200);
    redis.query::<()>(&["DEL", &format!("msg:guest:{odd}")]);
    assert_eq!(Session::issue(&host, &odd).await.evicted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_read_is_set_aside() {
    let redis = RedisServer::start();
    let host = start_on(&redis).await;
    let fingerprint = device();
    let session = Session::issue(&host, &fingerprint).await;
    let key = format!("msg:guest:{fingerprint}");
    for (score, member) in [("1", "not JSON"), ("2", "{}"), ("3", r#"{"guestId":7}"#), ("4", "[]")]
    {
        redis.query::<()>(&["ZADD", &key, score, member]);
    }
    let next = Session::issue(&host, &fingerprint).await;
    let wanted = [session.guest_id, next.guest_id];
    assert_eq!(guest_ids(&listed(&host, &fingerprint).await), wanted);
    let members: Vec<String> = redis.query(&["ZRANGE", &key, "0", "-1"]);
    assert_eq!(members.len(), 2, "{members:?}");
    assert!(wanted.iter().zip(&members).all(|(id, member)| member.contains(id)), "{members:?}");
    assert_eq!(next.evicted, 0);
}

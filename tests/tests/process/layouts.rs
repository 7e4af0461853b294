//! Redis as it may stand: keys sealed and hashed, several shards, a Cluster.

use guestpass_tests::host::{OPERATOR, issue, run, sessions, start_sim};
use guestpass_tests::http_client::Request;
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::ms;

use crate::world::{World, at_once, end_all, issued, own};

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// Every key with all that it holds, as text.
fn dump(redis: &RedisServer) -> String {
    let keys: Vec<String> = redis.query(&["KEYS", "*"]);
    let content = |key: &String| -> Vec<String> {
        let kind: String = redis.query(&["TYPE", key]);
        match kind.as_str() {
            "zset" => redis.query(&["ZRANGE", key, "0", "-1"]),
            "hash" => redis.query(&["HGETALL", key]),
            "string" => vec![redis.query(&["GET", key])],
            other => panic!("{key} is a {other}"),
        }
    };
    keys.iter().map(|key| format!("{key} {:?}\n", content(key))).collect()
}

#[test]
fn with_a_sealing_key_no_guest_token_stands_in_redis() {
    run(async {
        let world = World::new().await;
        let settings = [("TOKEN_SEALING_KEY", KEY), ("SWEEP_INTERVAL_MS", "3600000")];
        let origin = world.origin(&settings).await;
        let keyed = issue("sealed-device").header("Idempotency-Key", "key-1");
        let session = Session::of(&origin.send(&keyed).await);
        issued(origin.addr, "sealed-device").await;
        let replay = origin.send(&keyed).await;
        assert_eq!(replay.header("idempotency-replayed"), Some("true"));
        assert_eq!(Session::of(&replay), session);
        assert_eq!(
            origin.send(&own("POST", "sealed-device", &session, "/renew")).await.status,
            200
        );

        let stored = dump(&world.redis);
        assert!(stored.contains(&session.guest_id), "nothing is stored: {stored}");
        for guest in world.sim.guests() {
            let signature = guest.token.rsplit('.').next().expect("a token has parts");
            assert!(!stored.contains(signature), "a guest token in the clear: {stored}");
        }
        let stranger = Session { token: format!("{}x", session.token), ..session.clone() };
        assert_eq!(origin.send(&own("DELETE", "sealed-device", &stranger, "")).await.status, 404);
        assert_eq!(origin.send(&own("DELETE", "sealed-device", &session, "")).await.status, 202);
        eventually("it is revoked", ms(5000), async || {
            world.sim.invalidated(&session.guest_id).then_some(())
        })
        .await;
    });
}

#[test]
fn with_a_fingerprint_key_no_fingerprint_stands_in_redis() {
    run(async {
        let world = World::new().await;
        let settings = [
            ("FINGERPRINT_KEY", "a-key-for-fingerprints-0123456789"),
            ("RATE_LIMIT_PER_DEVICE", "100"),
        ];
        let origin = world.origin(&settings).await;
        world.sim.set_latency(0, 1000, 0);
        let keyed = issue("hidden-device").header("Idempotency-Key", "key-1");
        let first = Session::of(&origin.send(&keyed).await);
        for _ in 0..3 {
            issued(origin.addr, "hidden-device").await;
        }
        // While a create is in flight and a revocation is pending.
        world.sim.set_latency(500, 1000, 0);
        let last = issued(origin.addr, "hidden-device");
        let look = async {
            eventually("a create is in flight", ms(5000), async || {
                (world.redis.query::<u64>(&["ZCARD", "msg:guest::flights"]) == 1).then_some(())
            })
            .await;
            dump(&world.redis)
        };
        let (stored, last) = futures_util::future::join(look, last).await;
        for part in [":rate", ":idem:", ":flight", "::jobs", "::due"] {
            assert!(stored.contains(part), "no {part} in {stored}");
        }
        assert!(!stored.contains("hidden-device"), "{stored}");
        assert!(!dump(&world.redis).contains("hidden-device"));
        assert_eq!(origin.send(&own("POST", "hidden-device", &last, "/renew")).await.status, 200);
        assert_eq!(origin.send(&end_all("hidden-device")).await.json()["revocations"], 3);
        eventually("all are revoked", ms(10_000), async || world.alive().is_empty().then_some(()))
            .await;
        assert!(world.sim.invalidated(&first.guest_id));
    });
}

/// The keys of three steps: the old ones, both with the new ones last, both with the new ones first.
fn steps(name: &'static str, old: &str, new: &str) -> [(&'static str, String); 3] {
    [(name, old.to_owned()), (name, format!("{old},{new}")), (name, format!("{new},{old}"))]
}

#[test]
fn keys_are_rotated_while_servers_disagree_and_the_cap_holds() {
    run(async {
        const NEW: &str = "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";
        let world = World::new().await;
        let (hashing, sealing) =
            (steps("FINGERPRINT_KEY", "old", "new"), steps("TOKEN_SEALING_KEY", KEY, NEW));
        let mut origins = Vec::new();
        for (hashing, sealing) in hashing.iter().zip(&sealing) {
            let settings = [
                (hashing.0, hashing.1.as_str()),
                (sealing.0, sealing.1.as_str()),
                ("SWEEP_INTERVAL_MS", "500"),
            ];
            origins.push(world.origin(&settings).await);
        }
        let [old, old_first, new_first] = &origins[..] else { unreachable!() };
        let keyed = issue("rotated-device").header("Idempotency-Key", "key-1");
        let first = Session::of(&old.send(&keyed).await);
        // Before the next step every server can read what the next will write; this one is gone then.
        for (n, origin) in [old_first, new_first, old_first, new_first].into_iter().enumerate() {
            let replay = origin.send(&keyed).await;
            assert_eq!(replay.header("idempotency-replayed"), Some("true"), "{n}");
            assert_eq!(Session::of(&replay), first);
            let renewed = origin.send(&own("POST", "rotated-device", &first, "/renew")).await;
            assert_eq!(renewed.status, 200, "{n}");
        }
        let issues = (0..12).map(|n| {
            let origin = if n % 2 == 0 { old_first } else { new_first };
            async move { origin.send(&issue("rotated-device")).await.status }
        });
        for status in futures_util::future::join_all(issues).await {
            assert!(matches!(status, 201 | 429), "{status}");
        }
        for origin in [old_first, new_first] {
            let list = origin
                .send(&Request::new("GET", &sessions("rotated-device")).bearer(OPERATOR))
                .await;
            assert_eq!(list.json()["sessions"].as_array().map(Vec::len), Some(3));
        }
        eventually("only the cap is alive", ms(10_000), async || {
            (world.alive().len() == 3).then_some(())
        })
        .await;
        let names: Vec<String> = world.redis.query(&["ZRANGE", "msg:guest::due", "0", "-1"]);
        assert_eq!(names.len(), 1, "{names:?}");
    });
}

/// Issue, evict, revoke and expire, on devices in every shard.
async fn works_in_four_shards(redis_url: &str) {
    let sim = start_sim(Default::default()).await;
    let settings = [("REDIS_URL", redis_url), ("REDIS_SHARDS", "4"), ("SESSION_TTL_SECONDS", "3")];
    let origin = Origin::start(&sim, &settings).await;
    let device = |n: usize| format!("sharded-device-{n}");
    let mut first = Vec::new();
    for round in 0..4 {
        let replies = at_once(&origin, (0..16).map(|n| issue(&device(n))).collect()).await;
        let sessions: Vec<_> = replies.iter().map(Session::of).collect();
        assert!(sessions.iter().all(|session| session.evicted == u64::from(round == 3)));
        if round == 0 {
            first = sessions;
        }
    }
    eventually("the first guest of each device is revoked", ms(2500), async || {
        first.iter().all(|session| sim.invalidated(&session.guest_id)).then_some(())
    })
    .await;
    assert_eq!(sim.live_guests().len(), 48, "and no other");
    let ends = at_once(&origin, (0..8).map(|n| end_all(&device(n))).collect()).await;
    assert!(ends.iter().all(|reply| reply.json()["revocations"] == 3));
    eventually("the sessions of all devices end or expire", ms(15_000), async || {
        sim.live_guests().is_empty().then_some(())
    })
    .await;
    let get = async |target: &str| {
        let request = Request::new("GET", target).bearer(guestpass_tests::host::OPERATOR);
        origin.send(&request).await.expect(200).json()
    };
    assert_eq!(get(&sessions(&device(15))).await["sessions"], serde_json::json!([]));
    let counters = eventually("the outbox is empty", ms(5000), async || {
        let stats = get("/v1/stats").await;
        (stats["gauges"]["pendingRevocations"] == 0).then(|| stats["counters"].clone())
    })
    .await;
    let of = |name: &str| counters[name].as_u64().expect("a counter");
    let counted = ["issued", "evicted", "ended", "expired", "revoked"].map(of);
    assert_eq!(counted, [64, 16, 24, 24, 64]);
}

#[test]
fn four_shards_work_on_a_single_redis() {
    run(async {
        let redis = RedisServer::start();
        works_in_four_shards(&redis.url()).await;
        let keys: Vec<String> = redis.query(&["KEYS", "*"]);
        assert!((0..4).all(|shard| {
            let base = format!("msg:guest:{{{shard}}}:");
            keys.iter().any(|key| key.starts_with(&base))
        }));
    });
}

#[test]
fn four_shards_work_on_a_cluster() {
    run(async {
        let cluster = RedisCluster::start();
        works_in_four_shards(&cluster.url()).await;
    });
}

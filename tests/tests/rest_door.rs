//! The origin over the REST door of another origin: one Redis, two ways to it, one cap and one history.

use std::time::Duration;

use guestpass_tests::host::OPERATOR;
use guestpass_tests::http_client::Request;
use guestpass_tests::origin::{Origin, start_pair};
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::RedisServer;

const TOKEN: &str = "a-token-of-the-tests";
const SESSIONS: &str = "/v1/devices/device-fp-8f3a2c1d/sessions";

#[tokio::test]
async fn two_origins_share_a_cap_and_a_history_one_of_them_over_rest() {
    let redis = RedisServer::start();
    let (redis_url, cap) = (redis.url(), ("MAX_SESSIONS_PER_DEVICE", "2"));
    let settings = [("REDIS_URL", redis_url.as_str()), ("REDIS_REST_TOKEN", TOKEN), cap];
    let (sim, near) = start_pair(&settings).await;
    let door = format!("http://{}/redis", near.addr);
    let settings = [("UPSTASH_REDIS_REST_URL", &*door), ("UPSTASH_REDIS_REST_TOKEN", TOKEN), cap];
    let far = Origin::start(&sim, &settings).await;

    let mut issued = Vec::new();
    for (origin, evicted) in [(&far, 0), (&near, 0), (&far, 1), (&far, 1)] {
        let session = origin.send(&Request::new("POST", SESSIONS)).await.expect(201).json();
        assert_eq!(session["evicted"], evicted);
        issued.push(session["guestId"].clone());
    }
    let mut lists = Vec::new();
    for origin in [&near, &far] {
        let reply = origin.send(&Request::new("GET", SESSIONS).bearer(OPERATOR)).await;
        lists.push(reply.expect(200).json());
    }
    assert_eq!(lists[0], lists[1]);
    let ids: Vec<_> =
        lists[0]["sessions"].as_array().unwrap().iter().map(|s| s["guestId"].clone()).collect();
    assert_eq!(ids, issued[2..]);
    assert!(!far.log().contains(TOKEN) && !near.log().contains(TOKEN));
}

#[tokio::test]
async fn an_origin_over_rest_outlives_a_redis_that_goes_away() {
    let mut redis = RedisServer::start();
    let (sim, near) = start_pair(&[("REDIS_URL", &redis.url()), ("REDIS_REST_TOKEN", TOKEN)]).await;
    let door = format!("http://{}/redis", near.addr);
    let settings = [("UPSTASH_REDIS_REST_URL", &*door), ("UPSTASH_REDIS_REST_TOKEN", TOKEN)];
    let far = Origin::start(&sim, &settings).await;
    let _ = far.send(&Request::new("POST", SESSIONS)).await.expect(201);
    redis.kill_hard();
    let _ = far.send(&Request::new("POST", SESSIONS)).await.problem(503, "store_unavailable");
    redis.restart();
    // The script is gone with the server's memory: NOSCRIPT comes through, and EVAL follows.
    eventually("a session", Duration::from_secs(10), async || {
        let reply = far.send(&Request::new("POST", SESSIONS)).await;
        (reply.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_token_there_is_no_door() {
    let redis = RedisServer::start();
    let (_sim, origin) = start_pair(&[("REDIS_URL", &redis.url())]).await;
    for path in ["/redis", "/redis/", "/redis/pipeline", "/redis/get/k"] {
        let request = Request::new("POST", path).bearer(TOKEN).json(r#"["PING"]"#);
        let _ = origin.send(&request).await.problem(404, "route_not_found");
    }
}

#[tokio::test]
async fn in_a_cluster_each_command_finds_its_server_and_a_transaction_keeps_to_one_slot() {
    let cluster = RedisCluster::start();
    let cluster_url = cluster.url();
    let settings = [
        ("REDIS_URL", cluster_url.as_str()),
        ("REDIS_SHARDS", "8"),
        ("REDIS_REST_TOKEN", TOKEN),
        ("REDIS_REST_COMMANDS", "all"),
    ];
    let (_sim, origin) = start_pair(&settings).await;
    let ask = async |path: &str, body: &str| {
        let request = Request::new("POST", path).bearer(TOKEN).json(body);
        let reply = origin.send(&request).await;
        (reply.status, reply.text().to_owned())
    };
    // a, b and c live on three servers.
    let pipeline =
        r#"[["SET","a",1],["SET","b",2],["SET","c","x"],["INCR","c"],["GET","a"],["GET","b"]]"#;
    let (status, body) = ask("/redis/pipeline", pipeline).await;
    let results: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &results[4]["result"], &results[5]["result"]),
        (200, &"1".into(), &"2".into())
    );
    assert_eq!(results[3]["error"], "ERR value is not an integer or out of range");

    let (status, body) = ask("/redis/multi-exec", r#"[["SET","a",7],["SET","b",7]]"#).await;
    assert_eq!((status, body.starts_with(r#"{"error":"CROSSSLOT "#)), (400, true), "{body}");
    let (status, body) = ask("/redis", r#"["MGET","a","b"]"#).await;
    assert_eq!((status, &*body), (200, r#"{"result":["1","2"]}"#));
    let within = r#"[["SET","{s}a",1],["INCR","{s}a"]]"#;
    let (status, body) = ask("/redis/multi-exec", within).await;
    assert_eq!((status, &*body), (200, r#"[{"result":"OK"},{"result":2}]"#));
}

#[tokio::test]
async fn a_redis_that_hangs_is_a_fault_in_time_and_spoils_nothing() {
    let redis = RedisServer::start();
    let settings =
        [("REDIS_URL", &*redis.url()), ("REDIS_REST_TOKEN", TOKEN), ("REDIS_REST_COMMANDS", "all")];
    let (_sim, origin) = start_pair(&settings).await;
    let ask = async |path: &str, body: &str| {
        let request = Request::new("POST", path).bearer(TOKEN).json(body);
        let (reply, took) = timed(origin.send(&request)).await;
        // The store of the edge waits for 4 s.
        assert!(took < Duration::from_millis(3500), "{took:?}");
        (reply.status, reply.text().to_owned())
    };
    assert_eq!(ask("/redis", r#"["SET","k","before"]"#).await.0, 200);
    redis.pause();
    let ping = r#"["PING"]"#;
    let pair = r#"[["PING"],["INCR","n"]]"#;
    let (one, two, three) = futures_util::join!(
        ask("/redis", ping),
        ask("/redis/pipeline", pair),
        ask("/redis/multi-exec", pair),
    );
    for (status, body) in [one, two, three] {
        assert_eq!((status, body.starts_with(r#"{"error":"ERR "#)), (503, true), "{body}");
    }
    redis.resume();
    // Answers that came too late are nobody else's.
    for _ in 0..10 {
        let (status, body) = ask("/redis", r#"["GET","k"]"#).await;
        assert_eq!((status, &*body), (200, r#"{"result":"before"}"#));
    }
}

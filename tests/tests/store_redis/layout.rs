//! The layout in Redis: names, types and contents, as the design fixes them.

use std::collections::BTreeMap;

use guestpass_core::seams::SessionStore as _;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{Commit, End, Fate, StoredToken};
use guestpass_tests::scene::{START, Scene, device, guest, key, time};
use serde_json::{Value, json};

use crate::support::{Fresh, fresh_store};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

type Scores = Vec<(String, u64)>;

fn scores(fresh: &Fresh, name: &str) -> Scores {
    fresh.redis("ZRANGE", name, &["0", "-1", "WITHSCORES"])
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn jobs(fresh: &Fresh, name: &str) -> BTreeMap<String, Value> {
    let all: BTreeMap<String, String> = fresh.read("HGETALL", name);
    all.into_iter().map(|(guest, job)| (guest, json_of(&job))).collect()
}

#[tokio::test]
async fn an_admitted_create_is_in_flight_for_device_and_all() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.limits.rate_per_device = 10;
    s.limits.rate_per_ip = 10;
    let flight = s.flight();
    s.admit_full(&device("a"), &flight, Some(&key("k1", "b1")), Some("ip1")).await;
    let expected =
        [":flights", ":rate:ip1", "device-a:flight", "device-a:idem:k1", "device-a:rate"];
    assert_eq!(fresh.keys(), expected);
    let in_flight = vec![(flight.as_str().to_owned(), START + 20_000)];
    assert_eq!(scores(&fresh, "device-a:flight"), in_flight);
    assert_eq!(scores(&fresh, ":flights"), in_flight);
    let window = format!("{}:1", START / 60_000);
    for name in ["device-a:rate", ":rate:ip1"] {
        assert_eq!(fresh.read::<String>("GET", name), window);
    }
    let record = json_of(&fresh.read::<String>("GET", "device-a:idem:k1"));
    assert_eq!((&record["flight"], &record["body"]), (&json!(flight.as_str()), &json!("b1")));
    for name in ["device-a:flight", "device-a:idem:k1", "device-a:rate", ":rate:ip1"] {
        let left: i64 = fresh.read("PTTL", name);
        assert!((20_000..200_000).contains(&left), "{name} {left}");
    }
}

#[tokio::test]
async fn a_session_is_a_member_with_guest_id_and_token() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    let (flight, k) = (s.flight(), key("k1", "b1"));
    s.admit_keyed(&device("a"), &flight, &k).await;
    s.now = 1500;
    s.commit_keyed(&device("a"), &flight, &guest("g1"), Some(&k)).await;
    assert_eq!(fresh.keys(), [":due", ":stats", "device-a", "device-a:idem:k1"]);
    let members = scores(&fresh, "device-a");
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].1, START + 1500);
    assert_eq!(json_of(&members[0].0), json!({"guestId": "g1", "guestToken": "token-of-g1"}));
    assert_eq!(scores(&fresh, ":due"), [("device-a".to_owned(), START + 1500 + HOUR)]);
    assert_eq!(fresh.redis::<String>("HGET", ":stats", &["issued"]), "1");
    let record = json_of(&fresh.read::<String>("GET", "device-a:idem:k1"));
    assert_eq!(record["member"]["guestToken"], "token-of-g1");
    let left: u64 = fresh.read("PTTL", "device-a:idem:k1");
    assert!((590_000..=600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_devices_key_outlives_its_expiry_by_far_but_not_forever() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.issue(&device("a"), "g1").await;
    let left: u64 = fresh.read("PTTL", "device-a");
    assert!((HOUR + DAY - 60_000..=HOUR + DAY).contains(&left), "{left}");
    s.now = 1000;
    s.renew(&device("a"), "g1", &guestpass_tests::scene::proof_of(&guest("g1"))).await;
    let left: u64 = fresh.read("PTTL", "device-a");
    assert!((HOUR + DAY - 60_000..=HOUR + DAY).contains(&left), "{left}");
}

#[tokio::test]
async fn a_sealed_member_has_the_tokens_hash_beside_it() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    let flight = s.flight();
    s.admit(&device("a"), &flight).await;
    let token =
        StoredToken { text: Secret::new("v1.sealed/+=\""), sha256: Some("ab12".to_owned()) };
    let commit = Commit {
        device: &device("a"),
        flight: &flight,
        guest: &guest("g1"),
        token: &token,
        idempotency: None,
    };
    fresh.store.commit(s.at(), &commit).await.expect("commit");
    let expected = json!({"guestId": "g1", "guestToken": "v1.sealed/+=\"", "tokenSha256": "ab12"});
    assert_eq!(json_of(&scores(&fresh, "device-a")[0].0), expected);
}

#[tokio::test]
async fn a_maximum_age_keeps_the_sliding_expiry_beside_the_next_one() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.limits.max_age_ms = 60_000;
    s.issue(&device("a"), "g1").await;
    assert_eq!(scores(&fresh, ":due"), [("device-a".to_owned(), START + 60_000)]);
    assert_eq!(scores(&fresh, ":slide"), [("device-a".to_owned(), START + HOUR)]);
    s.limits.max_age_ms = 0;
    s.issue(&device("a"), "g2").await;
    assert_eq!(scores(&fresh, ":due"), [("device-a".to_owned(), START + HOUR)]);
    assert_eq!(scores(&fresh, ":slide"), []);
}

#[tokio::test]
async fn a_revocation_is_in_outbox_and_jobs_until_it_is_settled() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    for id in ["g1", "g2"] {
        s.issue(&device("a"), id).await;
    }
    s.now = 500;
    s.end(&device("a"), End::All).await;
    let both = ["g1", "g2"].map(|id| (id.to_owned(), START + 500));
    assert_eq!(scores(&fresh, ":outbox"), both);
    let filed =
        json!({"guestId": "g1", "reason": "ended", "attempts": 0, "enqueuedAt": START + 500});
    assert_eq!(jobs(&fresh, ":jobs")["g1"], filed);
    let claim = s.claim_id();
    let claimed = s.claim(&claim, 10).await;
    assert_eq!(scores(&fresh, ":outbox"), ["g1", "g2"].map(|id| (id.to_owned(), START + 30_500)));
    s.settle(&claim, &claimed[0], Fate::Stuck { error: "403".to_owned() }).await;
    s.settle(&claim, &claimed[1], Fate::Retry { at: time(2500), error: "503".to_owned() }).await;
    assert_eq!(scores(&fresh, ":outbox"), [("g2".to_owned(), START + 2500)]);
    let stuck = &jobs(&fresh, ":stuck")["g1"];
    assert_eq!((&stuck["attempts"], &stuck["lastError"]), (&json!(1), &json!("403")));
    assert_eq!(jobs(&fresh, ":jobs").len(), 1);
    for name in [":outbox", ":jobs", ":stuck", ":stats"] {
        assert_eq!(fresh.read::<i64>("PTTL", name), -1, "{name} is kept until it is worked off");
    }
}

#[tokio::test]
async fn the_cool_down_is_a_time_that_goes_away_by_itself() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    fresh.store.cool_down(s.at(), Some(time(5000))).await.expect("cool_down");
    assert_eq!(fresh.read::<u64>("GET", ":cool"), START + 5000);
    let left: i64 = fresh.read("PTTL", ":cool");
    assert!((5000..=65_000).contains(&left), "{left}");
}

#[tokio::test]
async fn what_is_worked_off_leaves_nothing_but_counters() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.limits.max_age_ms = 50_000;
    for n in 0..5 {
        s.issue(&device("a"), &format!("g{n}")).await;
    }
    s.now = 60_000;
    s.expire_due().await;
    let claim = s.claim_id();
    for job in s.claim(&claim, 10).await {
        s.settle(&claim, &job, Fate::Revoked).await;
    }
    assert_eq!(fresh.keys(), [":stats"]);
}

#[tokio::test]
async fn every_key_stands_in_the_readme() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.limits.max_age_ms = 60_000;
    s.limits.rate_per_device = 10;
    s.limits.rate_per_ip = 10;
    for id in ["g1", "g2"] {
        s.issue(&device("b"), id).await;
    }
    s.end(&device("b"), End::All).await;
    let claim = s.claim_id();
    let claimed = s.claim(&claim, 1).await;
    s.settle(&claim, &claimed[0], Fate::Stuck { error: "403".to_owned() }).await;
    s.issue(&device("a"), "g3").await;
    s.admit_full(&device("a"), &s.flight(), Some(&key("k1", "b1")), Some("ip1")).await;
    fresh.store.cool_down(s.at(), Some(time(5000))).await.expect("cool_down");
    fresh.store.token(Some(("sealed", 5000))).await.expect("token");

    let readme = include_str!("../../../README.md");
    let keys = fresh.keys();
    assert!(keys.len() >= 15, "{keys:?}");
    for name in keys {
        let name = name.replace("device-a", "<fingerprint>").replace("device-b", "<fingerprint>");
        let name = name.replace("k1", "<hash>").replace("ip1", "<hash>");
        assert!(readme.contains(&format!("`msg:guest:{name}`")), "{name}");
    }
}

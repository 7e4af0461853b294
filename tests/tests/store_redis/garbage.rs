//! What cannot be read is set aside and stops nothing: neither its device nor the sweep nor the others.

use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{Admission, End};
use guestpass_tests::scene::{START, Scene, device, guest, key, time};

use crate::support::{Fresh, fresh_store};

fn malformed() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "x",
        "{",
        "}",
        "null",
        "true",
        "17",
        "\"text\"",
        "[]",
        "[1,2]",
        "{}",
        r#"{"guestId":"cut","guestToken":"#,
        r#"{"guestId":"cut","guestToken":"t"#,
        r#"{"guestId":12345,"guestToken":"t"}"#,
        r#"{"guestId":null,"guestToken":"t"}"#,
        r#"{"guestId":{"a":1},"guestToken":"t"}"#,
        r#"{"guestId":"","guestToken":"t"}"#,
        r#"{"guestId":"..","guestToken":"t"}"#,
        r#"{"guestId":"a/b","guestToken":"t"}"#,
        r#"{"guestToken":"only"}"#,
        r#"{"guestId":"a","guestToken":"t"} trailing"#,
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push(b"\xff\xfe\x00\x01".to_vec());
    all.push(format!(r#"{{"guestId":"{}","guestToken":"t"}}"#, "x".repeat(129)).into_bytes());
    all.push(vec![b'x'; 2_000_000]);
    all.push([vec![b'['; 100_000], vec![b']'; 100_000]].concat());
    all.push([&br#"{"guestId":"#[..], &[b'['; 1200], &[b']'; 1200], b"}"].concat());
    all
}

fn plant(fresh: &Fresh, score: &str, member: &[u8]) {
    fresh.redis::<()>("ZADD", "device-a", &[score.as_bytes(), member]);
}

fn good(id: &str) -> Vec<u8> {
    format!(r#"{{"guestId":"{id}","guestToken":"t"}}"#).into_bytes()
}

#[tokio::test]
async fn malformed_members_are_removed_and_block_nothing() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.issue(&device("a"), "g1").await;
    let all = malformed();
    for (score, member) in (START - 50..).zip(&all) {
        plant(&fresh, &score.to_string(), member);
    }
    let flight = s.flight();
    assert_eq!(s.admit(&device("a"), &flight).await, Admission::Granted);
    let committed = s.commit(&device("a"), &flight, &guest("g2")).await;
    assert_eq!(
        (committed.evicted, committed.set_aside),
        (0, u32::try_from(all.len()).expect("few"))
    );
    assert_eq!(s.guests(&device("a")).await, ["g1", "g2"]);
    assert_eq!(fresh.read::<u64>("ZCARD", "device-a"), 2);
    assert_eq!(s.filed().await, [] as [&str; 0], "nobody was evicted for them");
    s.now = 3_600_000;
    assert_eq!(s.expire_due().await.sessions, 2);
}

#[tokio::test]
async fn a_device_of_malformed_members_alone_is_as_good_as_empty() {
    for touch in 0..4 {
        let fresh = fresh_store().await;
        let s = Scene::new(&fresh.store);
        for (score, member) in (START..).zip(&malformed()) {
            plant(&fresh, &score.to_string(), member);
        }
        match touch {
            0 => assert_eq!(s.list(&device("a")).await, []),
            1 => assert_eq!(s.end(&device("a"), End::All).await.ended, 0),
            2 => {
                let expired = fresh.store.expire(s.at(), &[device("a")]).await.expect("expire");
                assert_eq!((expired.sessions, expired.set_aside), (0, malformed().len() as u64));
            }
            _ => assert_eq!(s.admit(&device("a"), &s.flight()).await, Admission::Granted),
        }
        s.issue(&device("a"), "g1").await;
        assert_eq!(s.guests(&device("a")).await, ["g1"]);
        assert_eq!(s.expire_due().await.sessions, 0);
    }
}

#[tokio::test]
async fn a_score_that_is_no_time_makes_the_oldest_session() {
    for max_age in [0, 7_200_000] {
        for score in ["inf", "-inf", "1e300", "-5", "253402300800000"] {
            let fresh = fresh_store().await;
            let mut s = Scene::new(&fresh.store);
            s.limits.max_age_ms = max_age;
            s.limits.cap = 2;
            plant(&fresh, score, &good("odd"));
            let flight = s.flight();
            assert_eq!(s.admit(&device("a"), &flight).await, Admission::Granted, "{score}");
            s.commit(&device("a"), &flight, &guest("g1")).await;
            if max_age == 0 {
                assert_eq!(s.guests(&device("a")).await, ["odd", "g1"], "{score}");
            }
            let second = s.issue(&device("a"), "g2").await;
            assert_eq!(second.created_at, time(1), "{score} raises nobody's time");
            assert_eq!(s.guests(&device("a")).await, ["g1", "g2"], "{score}");
            let reason = if max_age == 0 { "evicted" } else { "expired" };
            assert_eq!(s.filed().await, [format!("odd:{reason}")], "{score}");
        }
    }
}

#[tokio::test]
async fn an_expiry_that_is_no_time_is_set_anew() {
    for score in ["inf", "1e300"] {
        let fresh = fresh_store().await;
        let s = Scene::new(&fresh.store);
        s.issue(&device("a"), "g1").await;
        fresh.redis::<()>("ZADD", ":due", &[score, "device-a"]);
        let sessions = s.list(&device("a")).await;
        assert_eq!(sessions[0].expires_at, time(3_600_000), "{score}");
        assert_eq!(fresh.redis::<u64>("ZSCORE", ":due", &["device-a"]), START + 3_600_000);
    }
}

#[tokio::test]
async fn names_that_are_no_devices_do_not_hold_up_due() {
    let fresh = fresh_store().await;
    let mut s = Scene::new(&fresh.store);
    s.issue(&device("a"), "g1").await;
    for name in [&b"has:colon"[..], b"", b"..", b"sp ace", b"\xff\xfe", &[b'x'; 257]] {
        fresh.redis::<()>("ZADD", ":due", &[b"5", name]);
    }
    for name in ["never-existed", "nor-this-one"] {
        fresh.redis::<()>("ZADD", ":due", &["6", name]);
    }
    s.now = 3_600_000;
    let due = fresh.store.due(s.at(), 3).await.expect("due");
    assert_eq!((due.devices.len(), due.set_aside), (0, 3));
    let due = fresh.store.due(s.at(), 100).await.expect("due");
    assert_eq!((due.devices.len(), due.set_aside), (3, 3));
    assert_eq!(s.expire_due().await.sessions, 1);
    assert_eq!(fresh.read::<u64>("ZCARD", ":due"), 0);
}

#[tokio::test]
async fn an_unreadable_idempotency_record_is_replaced() {
    for record in ["x", "[]", "{}", r#"{"until":"x","body":1}"#, r#"{"until":9e99}"#] {
        let fresh = fresh_store().await;
        let s = Scene::new(&fresh.store);
        let (k, flight) = (key("k", "body"), s.flight());
        fresh.redis::<()>("SET", "device-a:idem:k", &[record]);
        assert_eq!(s.admit_keyed(&device("a"), &flight, &k).await, Admission::Granted, "{record}");
        s.commit_keyed(&device("a"), &flight, &guest("g1"), Some(&k)).await;
        let replay = s.admit_keyed(&device("a"), &s.flight(), &k).await;
        assert!(matches!(replay, Admission::Replay(_)), "{record}: {replay:?}");
    }
}

#[tokio::test]
async fn a_bound_record_without_a_readable_answer_says_so() {
    let fresh = fresh_store().await;
    let s = Scene::new(&fresh.store);
    let record = format!(
        r#"{{"flight":"x","body":"body","until":{},"member":{{"guestId":7}}}}"#,
        START + 1000
    );
    fresh.redis::<()>("SET", "device-a:idem:k", &[record]);
    let answer = s.admit_keyed(&device("a"), &s.flight(), &key("k", "body")).await;
    assert_eq!(answer, Admission::Unreadable);
}

#[tokio::test]
async fn numbers_that_are_none_do_not_stop_admits_claims_or_stats() {
    for text in ["x", "", "inf", "nan", "1e300", "-7"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        s.limits.rate_per_device = 5;
        fresh.redis::<()>("SET", ":cool", &[text]);
        fresh.redis::<()>("SET", "device-a:rate", &[format!("{text}:1")]);
        fresh.redis::<()>("HSET", ":stats", &["unknown", "1", "busy", "many"]);
        s.issue(&device("a"), "g2").await;
        s.end(&device("a"), End::All).await;
        assert_eq!(s.claim(&s.claim_id(), 10).await.len(), 1, "{text}");
        for score in ["inf", "-inf", "-3"] {
            fresh.redis::<()>("ZADD", ":ages", &[score, "odd"]);
            assert_eq!(s.stats().await.pending_revocations, 1, "{text} {score}");
        }
        let cooled = fresh.store.cool_down(s.at(), Some(time(900))).await.expect("cool_down");
        assert_eq!(cooled, time(900), "{text}");
    }
}

#[tokio::test]
async fn a_rate_that_is_none_limits_nobody() {
    for rate in ["x", "5", "a:b", "99999999999999999999:99", ":", "1:"] {
        let fresh = fresh_store().await;
        let mut s = Scene::new(&fresh.store);
        s.limits.rate_per_device = 1;
        fresh.redis::<()>("SET", "device-a:rate", &[rate]);
        assert_eq!(s.admit(&device("a"), &s.flight()).await, Admission::Granted, "{rate}");
        let second = s.admit(&device("a"), &s.flight()).await;
        assert_eq!(second, Admission::RateLimited(time(60_000)), "{rate}");
    }
}

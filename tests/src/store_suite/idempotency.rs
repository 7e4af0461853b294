//! Idempotency keys: bound by a commit, held by a flight, freed by anything else.

use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{
    AbortOutcome, Admission, Commit, Counter, Idempotency, Issued, StoredToken,
};

use crate::scene::{Scene, device, guest, key, time, token_of};

const MINUTE: i64 = 60_000;

pub async fn the_first_request_holds_its_key_while_it_runs<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k) = (device("a"), key("k", "body"));
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::Granted);
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::InFlight);
    assert_eq!(
        s.admit_keyed(&device, &s.flight(), &key("other", "body")).await,
        Admission::Granted
    );
    assert_eq!(s.stats().await.in_flight, 2);
}

pub async fn a_repeat_replays_the_first_answer<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, k) = (device("a"), key("k", "body"));
    for id in ["g1", "g2", "g3"] {
        s.issue(&device, id).await;
    }
    let flight = s.flight();
    s.admit_keyed(&device, &flight, &k).await;
    s.now = 500;
    let first = s.commit_keyed(&device, &flight, &guest("g4"), Some(&k)).await;
    s.now = MINUTE;
    s.issue(&device, "g5").await;
    let expected = Issued {
        guest: guest("g4"),
        token: token_of(&guest("g4")),
        created_at: first.created_at,
        expires_at: first.expires_at,
        evicted: 1,
    };
    for n in 1..=2 {
        let answer = s.admit_keyed(&device, &s.flight(), &k).await;
        assert_eq!(answer, Admission::Replay(expected.clone()));
        assert_eq!(s.stats().await.counter(Counter::Replayed), n);
    }
    assert_eq!(s.stats().await.in_flight, 0, "a replay is no create");
}

pub async fn another_body_is_a_mismatch<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, flight) = (device("a"), s.flight());
    s.admit_keyed(&device, &flight, &key("k", "body")).await;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &key("k", "other")).await, Admission::Mismatch);
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&key("k", "body"))).await;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &key("k", "other")).await, Admission::Mismatch);
}

pub async fn an_abort_frees_the_key<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k, g) = (device("a"), key("k", "body"), guest("g"));
    let outcomes = [
        AbortOutcome::Refused,
        AbortOutcome::Orphaned,
        AbortOutcome::CommitFailed(&g),
        AbortOutcome::Withdrawn(&g),
    ];
    for outcome in outcomes {
        let flight = s.flight();
        assert_eq!(
            s.admit_keyed(&device, &flight, &k).await,
            Admission::Granted,
            "before {outcome:?}"
        );
        s.abort(&device, &flight, Some(&k), outcome).await;
    }
    let flight = s.flight();
    s.admit_keyed(&device, &flight, &k).await;
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    s.abort(&device, &flight, Some(&k), AbortOutcome::CommitFailed(&guest("g1"))).await;
    let again = s.admit_keyed(&device, &s.flight(), &k).await;
    assert_eq!(again, Admission::Granted, "a commit that was taken back binds nothing");
}

pub async fn an_abort_frees_no_others_key<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k, holder, other) = (device("a"), key("k", "body"), s.flight(), s.flight());
    s.admit_keyed(&device, &holder, &k).await;
    s.abort(&device, &other, Some(&k), AbortOutcome::Refused).await;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::InFlight);
}

pub async fn a_key_is_bound_for_ten_minutes<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    s.admit_keyed(&device, &flight, &k).await;
    s.now = 1000;
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    s.now = 1000 + 10 * MINUTE - 1;
    let replay = s.admit_keyed(&device, &s.flight(), &k).await;
    assert!(matches!(replay, Admission::Replay(_)), "{replay:?}");
    s.now += 1;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::Granted);
}

pub async fn a_key_is_free_again_when_its_flight_runs_out<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, k) = (device("a"), key("k", "body"));
    s.admit_keyed(&device, &s.flight(), &k).await;
    s.now = 19_999;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::InFlight);
    s.now = 20_000;
    assert_eq!(s.admit_keyed(&device, &s.flight(), &key("k", "other")).await, Admission::Granted);
}

pub async fn a_key_belongs_to_its_device<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let k = key("k", "body");
    s.admit_keyed(&device("a"), &s.flight(), &k).await;
    assert_eq!(s.admit_keyed(&device("b"), &s.flight(), &k).await, Admission::Granted);
}

pub async fn a_late_commit_does_not_steal_a_key<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, k, late, second) = (device("a"), key("k", "body"), s.flight(), s.flight());
    s.admit_keyed(&device, &late, &k).await;
    s.now = 20_000;
    assert_eq!(s.admit_keyed(&device, &second, &k).await, Admission::Granted);
    s.commit_keyed(&device, &late, &guest("g-late"), Some(&k)).await;
    assert_eq!(s.guests(&device).await, ["g-late"], "it commits all the same");
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::InFlight);
    s.commit_keyed(&device, &second, &guest("g-second"), Some(&k)).await;
    match s.admit_keyed(&device, &s.flight(), &k).await {
        Admission::Replay(issued) => assert_eq!(issued.guest, guest("g-second")),
        other => panic!("{other:?}"),
    }
}

pub async fn a_sealed_token_is_replayed_as_it_was_stored<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    let token = StoredToken {
        text: Secret::new("v1.\"sealed\"\\\u{1f511}\n"),
        sha256: Some("ab".repeat(32)),
    };
    s.admit_keyed(&device, &flight, &k).await;
    let commit = Commit {
        device: &device,
        flight: &flight,
        guest: &guest("g1"),
        token: &token,
        idempotency: Some(&k),
    };
    store.commit(s.at(), &commit).await.expect("commit");
    match s.admit_keyed(&device, &s.flight(), &k).await {
        Admission::Replay(issued) => assert_eq!(issued.token, token),
        other => panic!("{other:?}"),
    }
}

pub async fn an_unreadable_answer_may_be_overwritten<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let (device, k, flight, again) = (device("a"), key("k", "body"), s.flight(), s.flight());
    let overwrite = Idempotency { overwrite: true, ..k.clone() };
    s.admit_keyed(&device, &flight, &k).await;
    let early = s.admit_keyed(&device, &again, &overwrite).await;
    assert_eq!(early, Admission::InFlight, "only a finished one");
    s.commit_keyed(&device, &flight, &guest("g1"), Some(&k)).await;
    let other = Idempotency { overwrite: true, ..key("k", "other") };
    assert_eq!(s.admit_keyed(&device, &again, &other).await, Admission::Mismatch);
    assert_eq!(s.admit_keyed(&device, &again, &overwrite).await, Admission::Granted);
    assert_eq!(s.admit_keyed(&device, &s.flight(), &k).await, Admission::InFlight);
    s.now = 700;
    s.commit_keyed(&device, &again, &guest("g2"), Some(&overwrite)).await;
    match s.admit_keyed(&device, &s.flight(), &k).await {
        Admission::Replay(issued) => {
            assert_eq!((issued.guest, issued.created_at), (guest("g2"), time(700)));
        }
        other => panic!("{other:?}"),
    }
}

pub async fn admitting_the_same_flight_again_is_no_replay<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, k, flight) = (device("a"), key("k", "body"), s.flight());
    assert_eq!(s.admit_keyed(&device, &flight, &k).await, Admission::Granted);
    assert_eq!(s.admit_keyed(&device, &flight, &k).await, Admission::Granted);
}

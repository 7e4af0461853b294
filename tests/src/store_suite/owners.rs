//! Who may renew, end and list sessions.

use guestpass_core::names::{DeviceKey, GuestId};
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{Commit, Counter, End, Ended, Proof, StoredToken};

use crate::scene::{Scene, device, guest, ids, proof, proof_of, time};

const HOUR: i64 = 3_600_000;

async fn issue_sealed<S: SessionStore>(s: &Scene<'_, S>, device: &DeviceKey, guest: &GuestId) {
    let flight = s.flight();
    s.admit(device, &flight).await;
    let token = StoredToken { text: Secret::new("sealed"), sha256: Some("aa11".to_owned()) };
    let commit = Commit { device, flight: &flight, guest, token: &token, idempotency: None };
    s.store.commit(s.at(), &commit).await.expect("commit");
}

pub async fn only_the_right_token_renews<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.issue(&device, "g2").await;
    s.now = 1000;
    for wrong in ["", "x", "token-of-g2", "token-of-g1 ", "token-of-g"] {
        assert_eq!(s.renew(&device, "g1", &proof(wrong)).await, None, "{wrong}");
    }
    assert!(s.list(&device).await.iter().all(|session| session.expires_at == time(HOUR)));
    assert_eq!(s.renew(&device, "g1", &proof_of(&guest("g1"))).await, Some(time(HOUR + 1000)));
    let again = s.renew(&device, "g1", &proof_of(&guest("g1"))).await;
    assert_eq!(again, Some(time(HOUR + 1000)));
}

pub async fn only_the_right_token_ends<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.issue(&device, "g2").await;
    let g1 = guest("g1");
    let wrong = s.end(&device, End::Own(&g1, &proof_of(&guest("g2")))).await;
    assert_eq!(wrong, Ended::default());
    assert_eq!(s.guests(&device).await, ["g1", "g2"]);
    let right = s.end(&device, End::Own(&g1, &proof_of(&g1))).await;
    assert_eq!(right, Ended { ended: 1, expired: 0 });
    assert_eq!(s.guests(&device).await, ["g2"]);
    assert_eq!(s.filed().await, ["g1:ended"]);
}

pub async fn a_sealed_token_is_checked_by_its_hash<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let (device, g1) = (device("a"), guest("g1"));
    issue_sealed(&s, &device, &g1).await;
    let hash =
        |token: &str, sha256: &str| Proof { token: Secret::new(token), sha256: sha256.to_owned() };
    let stolen = hash("sealed", "bb22");
    assert_eq!(s.renew(&device, "g1", &stolen).await, None, "the sealed form is no token");
    assert_eq!(s.end(&device, End::Own(&g1, &stolen)).await, Ended::default());
    let own = hash("plain", "aa11");
    assert_eq!(s.renew(&device, "g1", &own).await, Some(time(HOUR)));
    assert_eq!(s.end(&device, End::Own(&g1, &own)).await.ended, 1);
}

pub async fn an_unknown_session_is_neither_renewed_nor_ended<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let g1 = guest("g1");
    s.issue(&device("a"), "g1").await;
    for device in [device("b"), device("a")] {
        let unknown = guest("g9");
        assert_eq!(s.renew(&device, "g9", &proof_of(&unknown)).await, None);
        assert_eq!(s.end(&device, End::One(&unknown)).await, Ended::default());
        assert_eq!(s.end(&device, End::Own(&unknown, &proof_of(&unknown))).await, Ended::default());
    }
    assert_eq!(s.renew(&device("b"), "g1", &proof_of(&g1)).await, None, "another device's");
    assert_eq!(s.end(&device("b"), End::One(&g1)).await, Ended::default());
    assert_eq!(s.end(&device("b"), End::All).await, Ended::default());
    assert_eq!(s.filed().await, [] as [&str; 0]);
}

pub async fn an_operator_ends_one_session<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    for id in ["g1", "g2", "g3"] {
        s.issue(&device, id).await;
    }
    assert_eq!(s.end(&device, End::One(&guest("g2"))).await, Ended { ended: 1, expired: 0 });
    assert_eq!(s.guests(&device).await, ["g1", "g3"]);
    assert_eq!(s.filed().await, ["g2:ended"]);
    assert_eq!(s.issue(&device, "g4").await.evicted, 0, "its place is free");
}

pub async fn an_operator_ends_all_sessions<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    for id in ["g1", "g2", "g3"] {
        s.issue(&device, id).await;
    }
    assert_eq!(s.end(&device, End::All).await, Ended { ended: 3, expired: 0 });
    assert_eq!(s.list(&device).await, []);
    assert_eq!(s.filed().await, ["g1:ended", "g2:ended", "g3:ended"]);
    let stats = s.stats().await;
    assert_eq!((stats.devices, stats.counter(Counter::Ended)), (0, 3));
}

pub async fn ending_again_changes_nothing<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    s.issue(&device, "g1").await;
    s.end(&device, End::All).await;
    let before = (s.stats().await, s.pending().await);
    assert_eq!(s.end(&device, End::All).await, Ended::default());
    assert_eq!(s.end(&device, End::One(&guest("g1"))).await, Ended::default());
    assert_eq!((s.stats().await, s.pending().await), before);
}

pub async fn ending_tells_the_expired_from_the_ended<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.limits.max_age_ms = 10_000;
    s.issue(&device, "g1").await;
    s.now = 5000;
    s.issue(&device, "g2").await;
    s.now = 10_000;
    let expired = s.end(&device, End::One(&guest("g1"))).await;
    assert_eq!(expired, Ended { ended: 0, expired: 1 }, "an expired session cannot be ended");
    assert_eq!(s.end(&device, End::All).await, Ended { ended: 1, expired: 0 });
    assert_eq!(s.filed().await, ["g1:expired", "g2:ended"]);
}

pub async fn a_list_is_oldest_first_with_expiries<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.limits.max_age_ms = HOUR.unsigned_abs();
    for (at, id) in [(0, "z"), (1000, "a"), (2000, "m")] {
        s.now = at;
        s.issue(&device, id).await;
    }
    let sessions = s.list(&device).await;
    assert_eq!(ids(&sessions), ["z", "a", "m"]);
    let times: Vec<_> =
        sessions.iter().map(|session| (session.created_at, session.expires_at)).collect();
    assert_eq!(times, [0, 1000, 2000].map(|at| (time(at), time(at + HOUR))));
    assert_eq!(s.list(&crate::scene::device("unknown")).await, []);
}

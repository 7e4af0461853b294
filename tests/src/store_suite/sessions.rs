//! The cap, eviction, and the order of sessions.

use futures_util::future::join_all;
use guestpass_core::seams::SessionStore;
use guestpass_core::store::ops::Admission;

use crate::scene::{Scene, device, guest, time};

pub async fn the_cap_holds<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    for n in 1..=10 {
        let committed = s.issue(&device, &format!("g{n}")).await;
        assert_eq!(committed.evicted, u32::from(n > 3));
        assert_eq!(s.list(&device).await.len(), n.min(3));
    }
}

pub async fn the_cap_holds_under_concurrency<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    let issue = async |n: usize| {
        let flight = s.flight();
        if s.admit(&device, &flight).await != Admission::Granted {
            return 0;
        }
        assert!(s.list(&device).await.len() <= 3);
        s.commit(&device, &flight, &guest(&format!("g{n:03}"))).await;
        assert!(s.list(&device).await.len() <= 3);
        1
    };
    let mut issued: usize = 0;
    for round in 0..10 {
        issued += join_all((0..20).map(|n| issue(round * 20 + n))).await.iter().sum::<usize>();
    }
    let live = s.guests(&device).await;
    assert_eq!(live.len(), 3);
    let filed = s.filed().await;
    assert_eq!(filed.len() + live.len(), issued, "every guest is live or filed, none twice");
    assert!(live.iter().all(|guest| !filed.contains(&format!("{guest}:evicted"))));
}

pub async fn the_oldest_session_goes_first<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    // Not in the order of their names: the time decides.
    for id in ["m", "z", "a"] {
        s.issue(&device, id).await;
        s.now += 1000;
    }
    s.issue(&device, "k").await;
    assert_eq!(s.guests(&device).await, ["z", "a", "k"]);
    s.issue(&device, "b").await;
    assert_eq!(s.guests(&device).await, ["a", "k", "b"]);
}

pub async fn a_lowered_cap_evicts_several_at_the_next_commit<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    s.limits.cap = 5;
    for n in 1..=5 {
        s.issue(&device, &format!("g{n}")).await;
    }
    s.limits.cap = 2;
    assert_eq!(s.list(&device).await.len(), 5, "lowering it evicts nobody by itself");
    assert_eq!(s.issue(&device, "g6").await.evicted, 4);
    assert_eq!(s.guests(&device).await, ["g5", "g6"]);
    assert_eq!(s.filed().await, ["g1:evicted", "g2:evicted", "g3:evicted", "g4:evicted"]);
}

pub async fn a_raised_cap_makes_room<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for n in 1..=3 {
        s.issue(&device, &format!("g{n}")).await;
    }
    s.limits.cap = 4;
    assert_eq!(s.issue(&device, "g4").await.evicted, 0);
    assert_eq!(s.list(&device).await.len(), 4);
}

pub async fn every_eviction_files_its_revocation<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    for n in 1..=4 {
        s.issue(&device, &format!("g{n}")).await;
        s.now += 10;
    }
    let pending = s.pending().await;
    assert_eq!(s.filed().await, ["g1:evicted"]);
    assert_eq!(pending[0].attempts, 0);
    assert_eq!((pending[0].enqueued_at, pending[0].next_attempt_at), (time(30), Some(time(30))));
    assert_eq!(pending[0].last_error, None);
    s.issue(&device, "g5").await;
    assert_eq!(s.filed().await, ["g1:evicted", "g2:evicted"]);
}

pub async fn devices_do_not_disturb_each_other<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    for n in 0..20 {
        for id in ["x", "y"] {
            s.issue(&device(&n.to_string()), &format!("{id}{n}")).await;
        }
    }
    for n in 0..20 {
        assert_eq!(s.guests(&device(&n.to_string())).await, [format!("x{n}"), format!("y{n}")]);
    }
    assert_eq!(s.filed().await, [] as [&str; 0]);
}

pub async fn scores_rise_when_clocks_go_backwards<S: SessionStore>(store: &S) {
    let mut s = Scene::new(store);
    let device = device("a");
    assert_eq!(s.issue(&device, "g1").await.created_at, time(0));
    s.now = -5000;
    assert_eq!(s.issue(&device, "g2").await.created_at, time(1));
    s.now = -9000;
    assert_eq!(s.issue(&device, "g3").await.created_at, time(2));
    assert_eq!(s.guests(&device).await, ["g1", "g2", "g3"]);
    s.issue(&device, "g4").await;
    assert_eq!(s.guests(&device).await, ["g2", "g3", "g4"], "the first committed goes first");
    s.now = 5000;
    assert_eq!(s.issue(&device, "g5").await.created_at, time(5000));
}

pub async fn scores_rise_within_a_millisecond<S: SessionStore>(store: &S) {
    let s = Scene::new(store);
    let device = device("a");
    for (n, id) in (0..).zip(["z", "y", "x", "w", "v"]) {
        assert_eq!(s.issue(&device, id).await.created_at, time(n));
    }
    assert_eq!(s.guests(&device).await, ["x", "w", "v"]);
}

//! A replica, as after a failover that the client has not noticed: it refuses and keeps what it has.

use std::time::Duration;

use guestpass_core::seams::SessionStore as _;
use guestpass_core::store::ops::{Abort, AbortOutcome, Admission, Commit, End, Fate, Settlement};
use guestpass_tests::real_time::wait_for;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::scene::{Scene, device, guest, proof_of, time, token_of};

use crate::{is_refused, store_on, try_admit};

#[tokio::test]
async fn every_write_is_refused_and_nothing_is_done() {
    let start = || RedisServer::start_with(&["--enable-debug-command", "local"]);
    let (master, replica) = (start(), start());
    let on_master = store_on(&master);
    let s = Scene::new(&on_master);
    s.issue(&device("a"), "g1").await;
    s.issue(&device("b"), "g2").await;
    s.end(&device("b"), End::All).await;
    let claim = s.claim_id();
    let jobs = s.claim(&claim, 1).await;

    replica.query::<()>(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    let same = |server: &RedisServer| -> String { server.query(&["DEBUG", "DIGEST"]) };
    let digest = same(&master);
    wait_for("the replica has everything", Duration::from_secs(20), || {
        (same(&replica) == digest).then_some(())
    });
    let store = store_on(&replica);
    let s = s.before(&store);
    assert_eq!(s.guests(&device("a")).await, ["g1"], "reading goes on");
    assert_eq!(s.stats().await.pending_revocations, 1);

    let (flight, g1, g3) = (s.flight(), guest("g1"), guest("g3"));
    let commit = Commit {
        device: &device("a"),
        flight: &flight,
        guest: &g3,
        token: &token_of(&g3),
        idempotency: None,
    };
    let abort = Abort {
        device: &device("a"),
        flight: &flight,
        idempotency: None,
        outcome: AbortOutcome::CommitFailed(&g3),
    };
    let settlement = Settlement { guest: jobs[0].guest.clone(), shard: 0, fate: Fate::Revoked };
    let at = s.at();
    let answers = [
        ("admit", try_admit(&s, "a").await.map(drop)),
        ("commit", store.commit(at, &commit).await.map(drop)),
        ("abort", store.abort(at, &abort).await),
        ("renew", store.renew(at, &device("a"), &g1, &proof_of(&g1)).await.map(drop)),
        ("end", store.end(at, &device("a"), &End::All).await.map(drop)),
        ("due", store.due(at, 10).await.map(drop)),
        ("expire", store.expire(at, &[device("a")]).await.map(drop)),
        ("claim", store.claim(at, &s.claim_id(), 1).await.map(drop)),
        ("settle", store.settle(at, &claim, &[settlement]).await.map(drop)),
        ("retry", store.retry(at, &jobs[0].guest).await.map(drop)),
        ("abandon", store.abandon(at, &jobs[0].guest).await.map(drop)),
        ("cool_down", store.cool_down(at, Some(time(5000))).await.map(drop)),
    ];
    for (operation, answer) in &answers {
        assert!(is_refused(answer), "{operation}: {answer:?}");
    }
    assert_eq!(same(&replica), digest);

    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(
        try_admit(&s, "a").await,
        Ok(Admission::Granted),
        "the same client, once it may write"
    );
}

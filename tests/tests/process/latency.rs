//! What stands between a request and its answer: round trips, calls, and one access token for all (P9).

use std::collections::BTreeSet;
use std::time::Duration;

use genesys_sim::CallKind;
use guestpass_tests::host::{issue, run};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::timed;

use crate::proxy::Proxy;
use crate::world::{World, at_once, issued, own};

/// How long the proxy holds a reply: what a sweep does after the answer is not taken for part of it.
const HELD_MS: u64 = 150;

/// An answer, with the round trips and the calls to Genesys that had been made when it came.
async fn measured(world: &World, proxy: &Proxy, origin: &Origin, request: &Request) -> Measured {
    world.at_rest().await;
    proxy.quiet().await;
    world.sim.reset_ledger();
    proxy.hold_replies(HELD_MS);
    let before = proxy.round_trips();
    let (reply, took) = timed(origin.send(request)).await;
    let round_trips = proxy.round_trips() - before;
    let calls = world.sim.calls().iter().map(|call| call.kind).collect();
    proxy.hold_replies(0);
    // The answer comes no sooner and hardly later than the replies it waits for, so none was missed.
    let held = Duration::from_millis(HELD_MS);
    let trips = u32::try_from(round_trips).expect("few");
    assert!((held * trips..held * (trips + 1)).contains(&took), "{trips} trips took {took:?}");
    Measured { reply, round_trips, calls }
}

struct Measured {
    reply: Reply,
    round_trips: usize,
    calls: Vec<CallKind>,
}

#[test]
fn an_issue_takes_two_round_trips_and_one_call_even_when_the_device_is_full() {
    run(async {
        let world = World::new().await;
        let proxy = Proxy::before(world.redis.port()).await;
        let url = proxy.url();
        let settings = [("REDIS_URL", url.as_str()), ("SWEEP_INTERVAL_MS", "3600000")];
        let origin = world.origin(&settings).await;
        // The token, the connections and the scripts are known from here on.
        for _ in 0..4 {
            issued(origin.addr, "full-device").await;
        }
        let session = issued(origin.addr, "another-device").await;
        let end = own("DELETE", "another-device", &session, "");
        assert_eq!(origin.send(&end).await.status, 202);
        let session = issued(origin.addr, "full-device").await;
        let renew = own("POST", "full-device", &session, "/renew");
        let end = own("DELETE", "full-device", &session, "");
        assert_eq!(origin.send(&renew).await.status, 200);

        let plain = issue("full-device");
        let keyed = plain.clone().header("Idempotency-Key", "key-1");
        for request in [&plain, &keyed] {
            let issue = measured(&world, &proxy, &origin, request).await;
            assert_eq!(Session::of(&issue.reply).evicted, 1);
            assert_eq!((issue.round_trips, issue.calls), (2, vec![CallKind::Create]));
        }
        let replay = measured(&world, &proxy, &origin, &keyed).await;
        assert_eq!(replay.reply.header("idempotency-replayed"), Some("true"));
        assert_eq!((replay.round_trips, replay.calls), (1, vec![]));
        for (request, status) in [(&renew, 200), (&end, 202)] {
            let own = measured(&world, &proxy, &origin, request).await;
            assert_eq!((own.reply.status, own.round_trips, own.calls), (status, 1, vec![]));
        }
    });
}

#[test]
fn a_crowd_of_first_requests_fetches_one_access_token() {
    run(async {
        let world = World::new().await;
        world.sim.set_latency(0, 0, 200);
        let origin = world.origin(&[]).await;
        let requests = (0..400).map(|n| issue(&format!("first-device-{n}"))).collect();
        let replies = at_once(&origin, requests).await;
        let guests: BTreeSet<_> = replies.iter().map(|reply| Session::of(reply).guest_id).collect();
        assert_eq!(guests.len(), 400);
        assert_eq!(world.sim.count(CallKind::Token), 1);
        assert_eq!(world.sim.count(CallKind::Create), 400);
    });
}

//! A device has one cap and one history, whichever host is asked.

use std::net::SocketAddr;

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::edge::Edge;
use guestpass_tests::host::{issue, run, sessions};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms};
use serde_json::json;

use crate::world::{UNSWEPT, World, issued, listed, operate, own};

async fn hosts(world: &World) -> (Origin, Edge) {
    let origin = world.origin(&[]).await;
    let edge = world.edge(&origin, &[]).await;
    (origin, edge)
}

#[test]
fn a_device_has_one_cap_and_one_list() {
    run(async {
        let world = World::new().await;
        let (origin, edge) = hosts(&world).await;
        let mut guests = Vec::new();
        for n in 0..6 {
            let host = if n % 2 == 0 { edge.addr } else { origin.addr };
            let session = issued(host, "shared-device").await;
            assert_eq!(session.evicted, u64::from(n >= 3), "issue {n}");
            guests.push(session.guest_id);
        }
        assert_eq!(world.tracked("shared-device"), guests[3..]);
        let at_edge = listed(edge.addr, "shared-device").await;
        assert_eq!(at_edge, listed(origin.addr, "shared-device").await);
        assert_eq!(at_edge["sessions"].as_array().map(Vec::len), Some(3));
        for evicted in &guests[..3] {
            world.revoked(evicted).await;
        }
        let figures = async |host| operate(host, "GET", "/v1/stats").await.expect(200).json();
        world.at_rest().await;
        let counters = figures(edge.addr).await["counters"].clone();
        assert_eq!(counters, figures(origin.addr).await["counters"]);
        assert_eq!((&counters["issued"], &counters["evicted"]), (&json!(6), &json!(3)));
    });
}

#[test]
fn a_session_is_renewed_and_ended_at_the_other_host() {
    run(async {
        let world = World::new().await;
        let (origin, edge) = hosts(&world).await;
        let device = "travelling-device";
        for (here, there) in [(origin.addr, edge.addr), (edge.addr, origin.addr)] {
            let session = issued(here, device).await;
            let renewed = own("POST", device, &session, "/renew").send(there).await.expect(200);
            let expires_at = renewed.json()["expiresAt"].clone();
            assert_eq!(listed(here, device).await["sessions"][0]["expiresAt"], expires_at);
            let ended = own("DELETE", device, &session, "").send(there).await.expect(202);
            assert_eq!(ended.json(), json!({ "revocations": 1 }));
            world.revoked(&session.guest_id).await;
            let renewed = own("POST", device, &session, "/renew").send(here).await;
            let _ = renewed.problem(404, "session_not_found");
        }
    });
}

#[test]
fn a_repeat_at_the_other_host_gets_the_first_answer() {
    run(async {
        let world = World::new().await;
        let (origin, edge) = hosts(&world).await;
        for (n, (here, there)) in
            [(origin.addr, edge.addr), (edge.addr, origin.addr)].into_iter().enumerate()
        {
            let fingerprint = format!("repeating-device-{n}");
            let routed = r#"{"routing":{"b":[1.0,"é"],"a":{}}}"#;
            let keyed =
                |body: &str| issue(&fingerprint).header("Idempotency-Key", "key").json(body);
            world.sim.fault(Fault::once(On::Create, Effect::Latency(1500)));
            let first = keyed(routed);
            let (first, ()) = tokio::join!(first.send(here), async {
                eventually("the create is in flight", ms(5000), async || {
                    (!world.in_flight().is_empty()).then_some(())
                })
                .await;
                let reply = keyed(routed).send(there).await;
                let _ = reply.problem(409, "idempotency_in_flight");
            });
            let same = r#"{ "routing": {"a": {}, "b": [1, "\u00e9"]} }"#;
            let again = keyed(same).send(there).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(Session::of(&again), Session::of(&first));
            let other = keyed("{}").send(there).await;
            let _ = other.problem(422, "idempotency_mismatch");
        }
        assert_eq!(world.sim.guests().len(), 2);
    });
}

#[test]
fn a_rest_that_one_host_was_told_of_is_kept_by_the_other() {
    run(async {
        for is_edge_told in [true, false] {
            let world = World::new().await;
            let (origin, edge) = hosts(&world).await;
            let (told, other) =
                if is_edge_told { (edge.addr, origin.addr) } else { (origin.addr, edge.addr) };
            // Revocations that are due meanwhile rest as well.
            let kept: Vec<SocketAddr> = vec![told, other, told];
            for host in kept {
                issued(host, "resting-device").await;
            }
            let retry_after = Some("3".to_owned());
            world.sim.fault(Fault::once(
                On::Create,
                Effect::Status { code: 429, retry_after, body: None },
            ));
            let first = issue("told-device");
            let (first, ()) = tokio::join!(first.send(told), async {
                eventually("the rest is known", ms(5000), async || {
                    world.redis.query::<bool>(&["EXISTS", "msg:guest::cool"]).then_some(())
                })
                .await;
                let calls = world.sim.calls().len();
                let refused = issue("other-device").send(other).await;
                let problem = refused.problem(503, "genesys_rate_limited");
                assert!(problem.retry_after.is_some_and(|seconds| (1..=3).contains(&seconds)));
                let ended = operate(other, "DELETE", &sessions("resting-device")).await.expect(202);
                assert_eq!(ended.json(), json!({ "revocations": 3 }));
                let _ = operate(other, "POST", "/v1/sweep").await.expect(200);
                assert_eq!(world.sim.calls().len(), calls, "Genesys was called in its rest");
            });
            // The first waited, since its deadline is later.
            let _ = Session::of(&first);
            world.at_rest().await;
            let calls = world.sim.calls();
            let refused = calls.iter().find(|call| call.status == Some(429)).expect("a 429");
            let later: Vec<_> = calls.iter().filter(|call| call.at_ms > refused.at_ms).collect();
            assert!(later.iter().all(|call| call.at_ms >= refused.at_ms + 3000), "{later:?}");
            assert_eq!(later.iter().filter(|c| c.kind == CallKind::Invalidate).count(), 3);
        }
    });
}

#[test]
fn what_expires_at_one_host_is_revoked_by_the_others_sweep() {
    run(async {
        let world = World::new().await;
        let brief = ("SESSION_TTL_SECONDS", "1");
        // Nothing but the cron trigger sweeps, then nothing but the origin.
        let silent = world.origin(&[brief, UNSWEPT]).await;
        let edge = world.edge(&silent, &[brief]).await;
        let session = issued(silent.addr, "expiring-device-1").await;
        world.revoked(&session.guest_id).await;
        // A Worker that ends between the call and its settlement leaves both to be done again.
        world.at_rest().await;
        drop(edge);
        let edge = world.edge_without_cron(&silent, &[brief]).await;
        let session = issued(edge.addr, "expiring-device-2").await;
        let issued_at = now_ms();
        let _sweeping = world.origin(&[brief]).await;
        world.revoked(&session.guest_id).await;
        assert!(now_ms() >= issued_at + 900, "revoked before it expired");
        world.at_rest().await;
        assert_eq!(world.counter("expired"), 2);
        assert_eq!(world.sim.count(CallKind::Invalidate), 2);
    });
}

#[test]
fn a_revocation_that_failed_at_one_host_is_made_by_the_other() {
    run(async {
        let world = World::new().await;
        let silent = world.origin(&[UNSWEPT]).await;
        let failure = || Effect::Status { code: 500, retry_after: None, body: None };
        let failed = async |count| {
            eventually("the first attempt fails", ms(5000), async || {
                (world.counter("revokeFailed") == count).then_some(())
            })
            .await;
        };
        let edge = world.edge_without_cron(&silent, &[]).await;
        let session = issued(edge.addr, "failing-device").await;
        world.sim.fault(Fault::once(On::Invalidate, failure()));
        let _ = own("DELETE", "failing-device", &session, "").send(edge.addr).await.expect(202);
        failed(1).await;
        assert!(world.to_be_revoked().contains(&session.guest_id));
        let sweeping = world.origin(&[]).await;
        world.revoked(&session.guest_id).await;
        drop((edge, sweeping));

        let session = issued(silent.addr, "failing-device").await;
        world.sim.fault(Fault::once(On::Invalidate, failure()));
        let _ = own("DELETE", "failing-device", &session, "").send(silent.addr).await.expect(202);
        failed(2).await;
        let _edge = world.edge(&silent, &[]).await;
        world.revoked(&session.guest_id).await;
        world.at_rest().await;
        assert_eq!(world.counter("revoked"), 2);
    });
}

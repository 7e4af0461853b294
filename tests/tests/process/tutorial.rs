//! The tutorial's own data, written before guestpass came, is taken over.

use genesys_sim::Sim;
use guestpass_tests::host::{OPERATOR, run, sessions};
use guestpass_tests::http_client::Request;
use guestpass_tests::http_suite::guest_ids;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms};

use crate::world::{World, issued};

/// `sim-client:sim-secret` for HTTP Basic.
const BASIC: &str = "Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0";

/// Makes guests as the tutorial does, straight at Genesys; answers id and token of each.
async fn made(sim: &Sim, count: usize) -> Vec<(String, String)> {
    let token = Request::new("POST", "/oauth/token")
        .header("Authorization", BASIC)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let body: serde_json::Value =
        serde_json::from_slice(&token.send(sim.addr()).await.expect(200).body).expect("JSON");
    let access = body["access_token"].as_str().expect("an access token").to_owned();
    let create =
        Request::new("POST", "/api/v2/conversations/messaging/guests").bearer(&access).json("{}");
    for _ in 0..count {
        let reply = create.send(sim.addr()).await;
        assert_eq!(reply.status / 100, 2, "{reply:?}");
    }
    let guests = sim.guests().into_iter().rev().take(count);
    let mut guests: Vec<_> = guests.map(|guest| (guest.id, guest.token)).collect();
    guests.reverse();
    guests
}

/// Writes a guest into a device's sorted set as the tutorial does.
fn zadd(world: &World, key: &str, at: u64, (id, token): &(String, String)) {
    let member = format!(r#"{{"guestId":"{id}","guestToken":"{token}"}}"#);
    assert_eq!(world.redis.query::<u64>(&["ZADD", key, &at.to_string(), &member]), 1);
}

#[test]
fn guests_of_the_tutorial_are_counted_evicted_oldest_first_and_revoked() {
    run(async {
        let world = World::new().await;
        let guests = made(&world.sim, 3).await;
        let now = now_ms();
        // Written in another order than that of their creation.
        for n in [1, 0, 2] {
            zadd(&world, "msg:guest:tutorial-device", now - 9000 + 1000 * n as u64, &guests[n]);
        }
        let origin = world.origin(&[]).await;
        let list = Request::new("GET", &sessions("tutorial-device")).bearer(OPERATOR);
        let listed = origin.send(&list).await.expect(200).json();
        let ids = guest_ids(listed["sessions"].as_array().expect("a list"));
        assert_eq!(ids, [0, 1, 2].map(|n: usize| guests[n].0.as_str()));

        for gone in 1..=3 {
            assert_eq!(issued(origin.addr, "tutorial-device").await.evicted, 1);
            eventually("the oldest is revoked", ms(5000), async || {
                world.sim.invalidated(&guests[gone - 1].0).then_some(())
            })
            .await;
            let tracked = world.tracked("tutorial-device");
            assert_eq!(tracked.len(), 3);
            assert!(guests[gone..].iter().map(|(id, _)| id).eq(&tracked[..3 - gone]));
            assert!(guests[gone..].iter().all(|(id, _)| !world.sim.invalidated(id)));
        }
        world.at_rest().await;
        assert_eq!(world.alive(), world.tracked("tutorial-device").into_iter().collect());
    });
}

#[test]
fn a_guest_of_the_tutorial_can_renew_and_end_its_session() {
    run(async {
        let world = World::new().await;
        let guests = made(&world.sim, 1).await;
        zadd(&world, "msg:guest:tutorial-device", now_ms(), &guests[0]);
        let origin = world.origin(&[]).await;
        let (id, token) = &guests[0];
        let path = format!("{}/{id}", sessions("tutorial-device"));
        let renew = Request::new("POST", &format!("{path}/renew"));
        assert_eq!(origin.send(&renew.clone().bearer("another-token")).await.status, 404);
        assert_eq!(origin.send(&renew.bearer(token)).await.status, 200);
        assert_eq!(origin.send(&Request::new("DELETE", &path).bearer(token)).await.status, 202);
        eventually("it is revoked", ms(5000), async || world.sim.invalidated(id).then_some(()))
            .await;
    });
}

#[test]
fn a_device_of_the_tutorial_that_nobody_touches_expires_all_the_same() {
    run(async {
        let world = World::new().await;
        let guests = made(&world.sim, 2).await;
        let key = "msg:guest:untouched-device";
        for guest in &guests {
            zadd(&world, key, now_ms() - 60_000, guest);
        }
        let lasts_until = now_ms() + 3000;
        assert_eq!(world.redis.query::<u64>(&["EXPIRE", key, "3"]), 1);
        let _origin = world.origin(&[]).await;
        eventually("it expires", ms(10_000), async || world.alive().is_empty().then_some(())).await;
        let earliest = world.sim.guests().iter().map(|guest| guest.invalidated_at_ms[0]).min();
        assert!(earliest.is_some_and(|at| at >= lasts_until), "it expired too early");
        world.at_rest().await;
        assert_eq!(world.counter("expired"), 2);
    });
}

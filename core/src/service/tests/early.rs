//! Where processes share the access token, it is at hand before admission: what that saves, and that nothing
//! else changes.

use std::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use futures_util::future::join;

use crate::seams::{Clock as _, SessionStore as _, StoreFault};
use crate::test_support::{Act, Seen, Spoil, World, issue, json_of};

const QUICK: &[(&str, &str)] = &[("RETRY_BASE_DELAY_MS", "10"), ("RETRY_JITTER_MS", "0")];

#[test]
fn a_first_issue_asks_for_a_shared_token_and_is_then_admitted() {
    let world = World::new(QUICK);
    let host = world.host().with_shared_token();
    assert_eq!(world.issue(&host), 201);
    let begun = world.store.called().into_iter().take(3).collect::<Vec<_>>();
    assert_eq!(begun, ["token", "admit", "commit"]);
    assert_eq!(world.issue(&host), 201);
    assert_eq!(world.genesys.count(Seen::is_token), 1);
}

#[test]
fn a_rest_that_others_were_told_of_while_the_token_came_is_kept() {
    let world = World::new(QUICK);
    let (host, other) = (world.host().with_shared_token(), world.host());
    world.genesys.script(|seen| seen.is_token().then_some(Act::Slow(1000)));
    let (answer, ()) = world.clock.run(join(host.handle(issue(), None), async {
        world.clock.sleep(Duration::from_millis(500)).await;
        let until = world.clock.now().plus(60_000);
        world.store.cool_down(other.at(), Some(until)).await.unwrap();
    }));
    assert_eq!(json_of(&answer.response)["code"], "genesys_rate_limited");
    assert_eq!(world.genesys.count(Seen::is_create), 0);
}

#[test]
fn without_a_store_no_token_is_fetched() {
    let world = World::new(QUICK);
    let host = world.host().with_shared_token();
    let away = || StoreFault::Unreachable("gone".to_owned());
    world.store.script(move |_| Some(Spoil { fault: away(), done: false }));
    assert_eq!(world.issue(&host), 503);
    assert!(world.genesys.seen().is_empty());
}

#[test]
fn a_refusal_of_the_login_host_is_told_after_one_try_and_gateway_errors_after_three() {
    for (status, tries, code) in [(401, 1, "genesys_unauthorized"), (503, 3, "genesys_failed")] {
        let world = World::new(QUICK);
        let host = world.host().with_shared_token();
        world.genesys.script(move |seen| seen.is_token().then_some(Act::status(status)));
        assert_eq!(json_of(&world.ask(&host, issue()))["code"], code);
        assert_eq!(world.genesys.count(Seen::is_token), tries);
        assert_eq!(world.look().stats.in_flight, 0);
    }
}

#[test]
fn what_admission_refuses_is_told_whatever_became_of_the_token() {
    let world = World::new(&[QUICK, &[("RATE_LIMIT_PER_DEVICE", "1")]].concat());
    assert_eq!(world.issue(&world.host()), 201);
    let cold = world.host().with_shared_token();
    world.genesys.script(|seen| seen.is_token().then_some(Act::status(401)));
    assert_eq!(json_of(&world.ask(&cold, issue()))["code"], "rate_limited");
}

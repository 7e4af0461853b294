//! Rest: after Genesys says Retry-After, nobody calls it before that time (P8).

use futures_util::future::join_all;
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::seams::{Clock as _, StoreFault};
use crate::test_support::{Act, BEGIN, BOUNDS, Seen, Spoil, World, issue, json_of, request};

fn is_api(seen: &Seen) -> bool {
    !seen.is_token()
}

/// Random histories: several hosts issue, end and sweep at random times while Genesys asks for rest at
/// random; no call goes out during a rest that was asked for before.
#[test]
fn no_host_calls_during_a_rest() {
    for seed in 0..60 {
        let world = World::seeded(&[("MAX_SESSIONS_PER_DEVICE", "3")], 0, seed);
        let rests = Arc::new(Mutex::new(Vec::new()));
        let (noted, dice) = (rests.clone(), world.clock.clone());
        let mut asked = 0;
        world.genesys.script(move |seen| {
            let [die, seconds, ..] = dice.random();
            if !is_api(seen) || asked > 8 || die > 60 {
                return None;
            }
            asked += 1;
            let rest = u64::from(seconds % 9);
            noted.lock().unwrap().push((seen.at, seen.at + rest * 1000));
            Some(Act::rate_limited(&rest.to_string()))
        });
        let hosts = [world.host(), world.host(), world.host()];
        world.clock.run(join_all((0..40).map(|n| {
            let (host, clock) = (&hosts[n % 3], &world.clock);
            async move {
                let [a, b, ..] = clock.random();
                clock.sleep(Duration::from_millis(u64::from(a) * 300 + u64::from(b))).await;
                if n % 5 == 4 {
                    host.sweep(&BOUNDS).await.unwrap();
                } else {
                    let answer = host.handle(issue(), None).await;
                    host.finish(answer.after, (n % 2 == 0).then_some(&BOUNDS)).await;
                }
            }
        })));
        let rests = rests.lock().unwrap().clone();
        assert!(rests.len() > 2, "seed {seed} asked for no rest");
        for called in world.genesys.times(is_api) {
            let broken = rests.iter().find(|(from, to)| *from < called && called < *to);
            assert_eq!(broken, None, "seed {seed}: a call at {called}");
        }
        super::balance::settle_down(&world, &hosts[0]);
        super::balance::balanced_up_to(&world, 3, &format!("seed {seed}"));
    }
}

#[test]
fn a_rest_is_written_to_the_store_and_holds_for_every_host() {
    let world = World::new(&[]);
    let (first, second) = (world.host(), world.host());
    world.genesys.first(Seen::is_create, [Act::rate_limited("60")]);
    assert_eq!(world.issue(&first), 503);
    assert_eq!(world.look().cool_until, BEGIN + 60_000);
    world.clock.advance(20_500);
    for host in [&first, &second] {
        let (answer, _) = world.ask_only(host, issue());
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
            (503, "40")
        );
        assert_eq!(json_of(&answer)["code"], "genesys_rate_limited");
    }
    assert_eq!(world.genesys.count(Seen::is_create), 1);
    let stats = json_of(&world.ask(&second, request("GET", "/v1/stats", "")));
    assert_eq!(
        (&stats["gauges"]["coolDownSeconds"], &stats["gauges"]["inFlight"]),
        (&40.into(), &0.into())
    );
    world.clock.advance(39_500);
    assert_eq!(world.issue(&second), 201);
}

#[test]
fn a_waiting_retry_holds_when_another_host_is_asked_for_rest() {
    let world = World::new(&[("RETRY_JITTER_MS", "0")]);
    let (first, second) = (world.host(), world.host());
    let mut acts = vec![Act::rate_limited("9"), Act::status(503)];
    world.genesys.script(move |seen| seen.is_create().then(|| acts.pop()).flatten());
    // The first is to retry at 1000; at 500 the second is told to leave Genesys alone until 9500.
    let late = async {
        world.clock.sleep(Duration::from_millis(500)).await;
        second.handle(issue(), None).await
    };
    let both = world.clock.run(futures_util::future::join(first.handle(issue(), None), late));
    assert_eq!((both.0.response.status().as_u16(), both.1.response.status().as_u16()), (201, 201));
    assert_eq!(world.genesys.times(Seen::is_create), [0, 500, 9500, 9500]);
}

#[test]
fn a_retry_that_would_have_to_hold_too_long_answers_at_once() {
    let world = World::new(&[("RETRY_JITTER_MS", "0")]);
    let (first, second) = (world.host(), world.host());
    let mut acts = vec![Act::rate_limited("90"), Act::status(503)];
    world.genesys.script(move |seen| seen.is_create().then(|| acts.pop()).flatten());
    let late = async {
        world.clock.sleep(Duration::from_millis(500)).await;
        second.handle(issue(), None).await
    };
    let both = world.clock.run(futures_util::future::join(first.handle(issue(), None), late));
    let (answer, _) = (&both.0.response, &both.1);
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
        (503, "90")
    );
    assert_eq!((world.clock.elapsed(), world.genesys.count(Seen::is_create)), (1000, 2));
    assert_eq!(world.look().stats.in_flight, 0);
}

#[test]
fn a_direct_revocation_waits_for_the_end_of_a_rest() {
    let world = World::new(&[]);
    let host = world.host();
    assert_eq!(world.issue(&host), 201);
    let lost = Spoil { fault: StoreFault::Unreachable("test".to_owned()), done: false };
    let clock = world.clock.clone();
    let down = lost.clone();
    world
        .store
        .script(move |op| (op.name != "admit" && clock.elapsed() < 30_000).then(|| down.clone()));
    // The create succeeds, its commit fails, and the direct revocation is refused with a rest.
    let mut asked = false;
    world.genesys.script(move |seen| {
        let first =
            seen.revokes().is_some() && !std::mem::replace(&mut asked, seen.revokes().is_some());
        first.then(|| Act::rate_limited("12"))
    });
    assert_eq!(world.issue(&host), 503);
    let times = world.genesys.times(|seen| seen.revokes().is_some());
    assert_eq!((times[0], times.len()), (0, 2));
    assert!(times[1] >= 12_000, "{times:?}");
    assert_eq!(world.look().guests(), ["guest-1"]);
}

#[test]
fn a_direct_revocation_that_waited_for_a_token_looks_again() {
    let world = World::with_latency(&[], 1);
    let host = world.host();
    assert_eq!(world.issue(&host), 201);
    let down = Spoil { fault: StoreFault::Unreachable("test".to_owned()), done: false };
    let clock = world.clock.clone();
    world.store.script(move |op| {
        let is_down = op.name == "commit" || op.name == "abort";
        (is_down && clock.elapsed() < 60_000).then(|| down.clone())
    });
    // The direct revocation waits for a new token; meanwhile another call is answered with a rest.
    let rests = Arc::new(Mutex::new(None));
    let (told, mut creates) = (rests.clone(), 0);
    world.genesys.script(move |seen| {
        if seen.is_token() {
            return Some(Act::Slow(3000));
        }
        creates += usize::from(seen.is_create());
        if seen.is_create() && creates == 2 {
            *told.lock().unwrap() = Some(seen.at);
            return Some(Act::rate_limited("20"));
        }
        (seen.revokes().is_some() && creates < 2).then(|| Act::status(401))
    });
    let first = async {
        let answer = host.handle(issue(), None).await;
        host.finish(answer.after, None).await;
    };
    let second = async {
        // The first revocation is refused with its token; the next one is waiting for another.
        while world.genesys.count(|seen| seen.revokes().is_some()) == 0 {
            world.clock.sleep(Duration::from_millis(1)).await;
        }
        world.clock.sleep(Duration::from_millis(400)).await;
        host.handle(issue(), None).await
    };
    let _ = world.clock.run(futures_util::future::join(first, second));
    let rest_begins = rests.lock().unwrap().unwrap();
    for called in world.genesys.times(|seen| seen.revokes().is_some()) {
        let resting = rest_begins + 1 < called && called < rest_begins + 1 + 20_000;
        assert!(!resting, "called at {called}, rest from {rest_begins}");
    }
}

#[test]
fn a_rest_of_the_login_host_is_its_own() {
    let world = World::new(&[]);
    let (first, second) = (world.host(), world.host());
    world.genesys.first(Seen::is_token, [Act::rate_limited("60")]);
    assert_eq!(world.issue(&first), 503);
    assert_eq!(world.issue(&first), 503);
    assert_eq!((world.genesys.count(Seen::is_token), world.look().cool_until), (1, 0));
    assert_eq!(world.issue(&second), 201);
    world.clock.advance(60_000);
    assert_eq!(world.issue(&first), 201);
}

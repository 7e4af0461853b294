//! The retry loop of an issue: which tries are made when, and what the caller is told.

use std::time::{Duration, UNIX_EPOCH};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::store::ops::Counter;
use crate::test_support::{Act, BEGIN, Seen, World, issue, json_of};

const NO_JITTER: (&str, &str) = ("RETRY_JITTER_MS", "0");

/// What came of an issue whose first creates went so.
struct Run {
    status: u16,
    code: String,
    retry_after: Option<String>,
    /// When creates were tried, and when the answer came.
    tries: Vec<u64>,
    answered_at: u64,
    orphaned: u64,
}

fn run(variables: &[(&str, &str)], kind: fn(&Seen) -> bool, acts: &[Act]) -> Run {
    let world = World::new(variables);
    let host = world.host();
    world.genesys.first(kind, acts.to_vec());
    let (response, after) = world.ask_only(&host, issue());
    let answered_at = world.clock.elapsed();
    world.clock.run(host.finish(after, None));
    let body = json_of(&response);
    let header = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(header, body["retryAfterSeconds"].as_u64().map(|n| n.to_string()));
    Run {
        status: response.status().as_u16(),
        code: body["code"].as_str().unwrap_or_default().to_owned(),
        retry_after: header,
        tries: world.genesys.times(kind),
        answered_at,
        orphaned: world.look().counter(Counter::Orphaned),
    }
}

fn creates(acts: &[Act]) -> Run {
    run(&[NO_JITTER], Seen::is_create, acts)
}

#[test]
fn the_wait_doubles_with_each_retry() {
    for act in
        [Act::status(502), Act::status(503), Act::status(504), Act::status(429), Act::NotSent]
    {
        let run = creates(&[act.clone(), act.clone()]);
        assert_eq!(
            (run.status, run.tries, run.answered_at),
            (201, vec![0, 1000, 3000], 3000),
            "{act:?}"
        );
    }
}

#[test]
fn jitter_adds_up_to_half_a_second() {
    let mut waits = Vec::new();
    for seed in 0..20 {
        let world = World::seeded(&[], 0, seed);
        let host = world.host();
        world.genesys.first(Seen::is_create, vec![Act::NotSent; 2]);
        assert_eq!(world.issue(&host), 201);
        let tries = world.genesys.times(Seen::is_create);
        waits.extend([tries[1] - tries[0] - 1000, tries[2] - tries[1] - 2000]);
    }
    assert!(waits.iter().all(|jitter| *jitter <= 500), "{waits:?}");
    assert!(
        waits.iter().any(|jitter| *jitter < 125) && waits.iter().any(|jitter| *jitter > 375),
        "{waits:?}"
    );
}

#[test]
fn three_tries_are_all() {
    let run = creates(&[Act::status(503), Act::status(503), Act::status(503)]);
    assert_eq!(
        (run.status, run.code.as_str(), run.tries),
        (502, "genesys_failed", vec![0, 1000, 3000])
    );
    assert_eq!((run.answered_at, run.retry_after, run.orphaned), (3000, None, 0));
}

#[test]
fn a_retry_after_longer_than_the_backoff_is_waited() {
    assert_eq!(creates(&[Act::rate_limited("3")]).tries, [0, 3000]);
    assert_eq!(creates(&[Act::rate_limited("0")]).tries, [0, 1000]);
    assert_eq!(creates(&[Act::NotSent, Act::rate_limited("1")]).tries, [0, 1000, 3000]);
    for malformed in ["-5", "soon", "1.5", ""] {
        assert_eq!(creates(&[Act::rate_limited(malformed)]).tries, [0, 1000], "{malformed}");
    }
    let unavailable = Act::Answer(503, vec![("retry-after", "4".to_owned())], String::new());
    assert_eq!(creates(&[unavailable]).tries, [0, 4000]);
}

#[test]
fn a_retry_after_may_be_a_date() {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(BEGIN + 8000));
    // The date names the whole second before.
    assert_eq!(creates(&[Act::rate_limited(&date)]).tries, [0, 8000 - BEGIN % 1000]);
}

#[test]
fn a_wait_that_does_not_fit_is_not_waited() {
    let run = creates(&[Act::rate_limited("60")]);
    assert_eq!((run.status, run.code.as_str()), (503, "genesys_rate_limited"));
    assert_eq!((run.retry_after.as_deref(), run.tries, run.answered_at), (Some("60"), vec![0], 0));
    // 15 s do not fit into what the first second left, although they would fit alone.
    let run = creates(&[Act::NotSent, Act::rate_limited("14")]);
    assert_eq!((run.status, run.retry_after.as_deref(), run.answered_at), (503, Some("14"), 1000));
    let run = self::run(
        &[NO_JITTER, ("REQUEST_DEADLINE_MS", "2500")],
        Seen::is_create,
        &vec![Act::NotSent; 3],
    );
    assert_eq!((run.status, run.code.as_str(), run.tries), (502, "genesys_failed", vec![0, 1000]));
    assert_eq!((run.retry_after, run.answered_at), (None, 1000));
}

#[test]
fn each_fault_of_a_create_has_its_answer() {
    let three = |act: Act| vec![act; 3];
    let table = [
        (vec![Act::status(400)], 502, "genesys_rejected", 1, 0),
        (vec![Act::status(404)], 502, "genesys_rejected", 1, 0),
        (vec![Act::status(409)], 502, "genesys_rejected", 1, 0),
        (vec![Act::status(403)], 502, "genesys_forbidden", 1, 0),
        (three(Act::status(401)), 502, "genesys_unauthorized", 2, 0),
        (vec![Act::status(500)], 502, "genesys_failed", 1, 0),
        (vec![Act::status(302)], 502, "genesys_failed", 1, 0),
        (three(Act::status(502)), 502, "genesys_failed", 3, 0),
        (three(Act::status(504)), 502, "genesys_failed", 3, 0),
        (three(Act::NotSent), 502, "genesys_failed", 3, 0),
        (three(Act::status(429)), 503, "genesys_rate_limited", 3, 0),
        (three(Act::rate_limited("2")), 503, "genesys_rate_limited", 3, 0),
        (vec![Act::Broken { done: false }], 502, "genesys_failed", 1, 1),
        (vec![Act::Broken { done: true }], 502, "genesys_failed", 1, 1),
        (vec![Act::Hang { done: true }], 504, "genesys_timeout", 1, 1),
        (vec![Act::DoneBut(200, "<html>".to_owned())], 502, "genesys_failed", 1, 1),
        (vec![Act::DoneBut(201, r#"{"guestToken":"t"}"#.to_owned())], 502, "genesys_failed", 1, 1),
        (
            vec![Act::DoneBut(201, r#"{"id":"a/b","guestToken":"t"}"#.to_owned())],
            502,
            "genesys_failed",
            1,
            1,
        ),
        // The id is known: revoked, not orphaned.
        (vec![Act::DoneBut(201, r#"{"id":"guest-1"}"#.to_owned())], 502, "genesys_failed", 1, 0),
        (
            vec![Act::DoneBut(201, r#"{"id":"guest-1","guestToken":"a b"}"#.to_owned())],
            502,
            "genesys_failed",
            1,
            0,
        ),
    ];
    for (acts, status, code, tries, orphaned) in table {
        let run = creates(&acts);
        assert_eq!((run.status, run.code.as_str()), (status, code), "{acts:?}");
        assert_eq!((run.tries.len(), run.orphaned), (tries, orphaned), "{acts:?}");
        assert_eq!(run.retry_after.is_some(), status == 503, "{acts:?}");
    }
}

#[test]
fn each_fault_of_the_login_host_has_its_answer() {
    let table = [
        (Act::status(400), 502, "genesys_unauthorized", 1),
        (Act::status(401), 502, "genesys_unauthorized", 1),
        (Act::status(403), 502, "genesys_forbidden", 1),
        (Act::status(404), 502, "genesys_rejected", 1),
        (Act::status(500), 502, "genesys_failed", 1),
        (Act::status(503), 502, "genesys_failed", 3),
        (Act::NotSent, 502, "genesys_failed", 3),
        (Act::Broken { done: false }, 502, "genesys_failed", 1),
        (Act::Hang { done: false }, 504, "genesys_timeout", 1),
        (Act::rate_limited("60"), 503, "genesys_rate_limited", 1),
        (Act::DoneBut(200, "<html>".to_owned()), 502, "genesys_failed", 1),
    ];
    for (act, status, code, tries) in table {
        let run = run(&[NO_JITTER], Seen::is_token, &vec![act.clone(); 3]);
        assert_eq!(
            (run.status, run.code.as_str(), run.tries.len()),
            (status, code, tries),
            "{act:?}"
        );
        assert_eq!(run.orphaned, 0, "{act:?}");
    }
}

#[test]
fn the_deadline_ends_an_issue_to_the_millisecond() {
    let run = creates(&[Act::NotSent, Act::Hang { done: false }]);
    assert_eq!((run.status, run.answered_at, run.tries), (504, 15_000, vec![0, 1000]));
    let run = self::run(&[], Seen::is_token, &[Act::Hang { done: false }]);
    assert_eq!((run.status, run.answered_at), (504, 15_000));
}

#[test]
fn a_refused_token_is_replaced_once() {
    let world = World::new(&[]);
    let host = world.host();
    assert_eq!(world.issue(&host), 201);
    world.genesys.refuse_old_tokens();
    assert_eq!(world.issue(&host), 201);
    assert_eq!((world.genesys.count(Seen::is_token), world.genesys.count(Seen::is_create)), (2, 3));
    world.genesys.first(Seen::is_create, vec![Act::status(401); 9]);
    let (answer, _) = world.ask_only(&host, issue());
    assert_eq!(json_of(&answer)["code"], "genesys_unauthorized");
    assert_eq!((world.genesys.count(Seen::is_token), world.genesys.count(Seen::is_create)), (3, 5));
    assert_eq!(world.clock.elapsed(), 0);
}

#[test]
fn a_login_host_that_hangs_costs_nothing_while_the_token_is_valid() {
    let world = World::with_latency(&[], 1);
    let host = world.host();
    assert_eq!(world.issue(&host), 201);
    // A token that is to be renewed but still valid, and a login host that hangs.
    world.clock.advance(86_400_000 - 50_000);
    world.genesys.script(|seen| seen.is_token().then_some(Act::Hang { done: false }));
    let status = world.issue(&host);
    assert_eq!((status, world.genesys.count(Seen::is_create)), (201, 2));
    assert_eq!(world.look().counter(Counter::Orphaned), 0);
}

#[test]
fn a_create_without_time_for_its_answer_is_not_sent() {
    let world = World::with_latency(&[], 8000);
    let host = world.host();
    assert_eq!(world.issue(&host), 502);
    world.clock.advance(30_000);
    world.sweep(&host);
    assert_eq!((world.genesys.seen().len(), world.look().counter(Counter::Orphaned)), (0, 0));
}

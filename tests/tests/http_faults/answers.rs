//! Genesys' answer to a create is lost, late or unreadable: the work may have been done.

use genesys_sim::Effect;
use guestpass_tests::http_suite::invalidated;
use guestpass_tests::real_time::timed;
use guestpass_tests::wait::ms;

use crate::full::{Full, creates};

/// A create that ends so: one call, never a second, and an orphan counted, of which `alive` live.
async fn is_orphaned(effect: Effect, status: u16, code: &str, alive: usize) -> String {
    let full = Full::start().await;
    full.fault(creates(1, effect));
    let problem = full.fails(status, code).await;
    assert_eq!(full.creates(), 1);
    assert_eq!(full.orphaned().await, 1);
    assert_eq!(full.unknown(), alive);
    full.recovers().await;
    assert_eq!((full.creates(), full.orphaned().await), (2, 1));
    problem.detail
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_before_the_work_may_have_carried_it() {
    let detail = is_orphaned(Effect::ResetBefore, 502, "genesys_failed", 0).await;
    assert!(detail.contains("the connection to the API broke"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_after_the_work_leaves_the_guest_that_is_counted() {
    let detail = is_orphaned(Effect::ResetAfter, 502, "genesys_failed", 1).await;
    assert!(detail.contains("the connection to the API broke"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_is_not_asked_for_again() {
    is_orphaned(Effect::CutBody, 502, "genesys_failed", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_guest_is_not_asked_for_again() {
    for body in ["nope", "", "[]", "null", r#"{"id":7,"guestToken":"t"}"#, "<html></html>"] {
        let effect = Effect::MalformedBody(body.to_owned());
        is_orphaned(effect, 502, "genesys_failed", 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_an_id_is_not_asked_for_again() {
    let effect = Effect::DropField("id".to_owned());
    let detail = is_orphaned(effect, 502, "genesys_failed", 1).await;
    assert!(detail.contains("id"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_a_token_is_revoked() {
    let full = Full::start().await;
    full.fault(creates(1, Effect::DropField("guestToken".to_owned())));
    let problem = full.fails(502, "genesys_failed").await;
    assert!(problem.detail.contains("guestToken"), "{problem:?}");
    assert_eq!(full.creates(), 1);
    let guests = full.host.sim.guests();
    invalidated(&full.host, &guests.last().expect("a guest").id).await;
    assert_eq!((full.unknown(), full.orphaned().await), (0, 0));
    full.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_ends_with_the_deadline() {
    for after_work in [false, true] {
        let begun =
            is_orphaned(Effect::Hang { after_work }, 504, "genesys_timeout", after_work.into());
        let (_, took) = timed(begun).await;
        assert!(took >= ms(1500), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_is_answered_within_a_second_of_the_deadline() {
    let full = Full::start().await;
    full.fault(creates(1, Effect::Hang { after_work: false }));
    let (reply, took) = timed(full.issue()).await;
    assert_eq!(reply.problem(504, "genesys_timeout").retry_after, None);
    assert!((ms(1400)..ms(2500)).contains(&took), "{took:?}");
    assert_eq!(full.orphaned().await, 1);
}

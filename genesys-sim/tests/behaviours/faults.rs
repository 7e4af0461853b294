//! Every fault: what the caller sees, and what the ledger says was done.

use genesys_sim::{Call, CallKind, Effect, Fault, On, Sim};

use crate::client::*;

fn last_create(sim: &Sim) -> Call {
    let mut calls = sim.calls_of(CallKind::Create);
    calls.pop().expect("a create")
}

async fn with(effect: Effect) -> (Sim, String) {
    let sim = start().await;
    let token = token(&sim).await;
    sim.fault(Fault::once(On::Create, effect));
    (sim, token)
}

fn status(code: u16, retry_after: Option<&str>, body: Option<&str>) -> Effect {
    Effect::Status { code, retry_after: retry_after.map(Into::into), body: body.map(Into::into) }
}

#[tokio::test]
async fn a_status_is_answered_with_a_proper_error_and_no_work() {
    for (code, name) in
        [(500, "internal.server.error"), (503, "service.unavailable"), (404, "not.found")]
    {
        let (sim, token) = with(status(code, None, None)).await;
        let reply = create(&sim, &token, "{}").await.unwrap();
        reply.assert_genesys_error(code, name);
        assert!(sim.guests().is_empty());
        assert_eq!(last_create(&sim).status, Some(code));
        assert_eq!(last_create(&sim).faults.len(), 1);
        assert!(last_create(&sim).authorization_ok);
        assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_status_carries_any_retry_after_and_any_body() {
    let (sim, token) = with(status(429, Some("-7 soon"), None)).await;
    let reply = create(&sim, &token, "{}").await.unwrap();
    assert_eq!(reply.header("Retry-After"), Some("-7 soon"));
    reply.assert_genesys_error(429, "too.many.requests.retry.after");

    sim.fault(Fault::once(On::Create, status(502, None, Some("<html>"))));
    let reply = create(&sim, &token, "{}").await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (502, "<html>"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn a_reset_before_the_work_leaves_no_guest() {
    let (sim, token) = with(Effect::ResetBefore).await;
    let reply = create(&sim, &token, "{}").await;
    assert_eq!(reply.unwrap_err(), Broken::Reset);
    assert!(sim.guests().is_empty());
    assert_eq!(last_create(&sim).status, None);
}

#[tokio::test]
async fn a_reset_after_the_work_leaves_a_guest_nobody_heard_of() {
    let (sim, token) = with(Effect::ResetAfter).await;
    let reply = create(&sim, &token, "{}").await;
    assert_eq!(reply.unwrap_err(), Broken::Reset);
    let call = last_create(&sim);
    assert_eq!(call.status, None);
    assert_eq!(call.guest_id.as_deref(), Some(sim.guests()[0].id.as_str()));
}

#[tokio::test]
async fn a_hang_never_answers_and_does_the_work_only_when_told_to() {
    for after_work in [false, true] {
        let (sim, token) = with(Effect::Hang { after_work }).await;
        assert_silent(create(&sim, &token, "{}")).await;
        assert_eq!(sim.guests().len(), usize::from(after_work));
        assert_eq!(last_create(&sim).status, None);
    }
}

#[tokio::test]
async fn a_hang_ends_when_the_simulator_stops() {
    let (sim, token) = with(Effect::Hang { after_work: false }).await;
    let hung = tokio::spawn({
        let sim = sim.clone();
        async move { create(&sim, &token, "{}").await }
    });
    while sim.count(CallKind::Create) == 0 {
        wait_ms(5).await;
    }
    sim.stop();
    let ended = hung.await.unwrap().unwrap_err();
    assert!(matches!(ended, Broken::Closed | Broken::Reset), "{ended:?}");
}

#[tokio::test]
async fn a_malformed_body_hides_work_that_was_done() {
    let (sim, token) = with(Effect::MalformedBody("{\"id\":".into())).await;
    let reply = create(&sim, &token, "{}").await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "{\"id\":"));
    assert_eq!(sim.guests().len(), 1);
}

#[tokio::test]
async fn a_cut_body_promises_the_whole_and_sends_half() {
    let (sim, token) = with(Effect::CutBody).await;
    match create(&sim, &token, "{}").await.unwrap_err() {
        Broken::Cut { got, promised } => assert!(promised > 400 && got == promised / 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(last_create(&sim).status, Some(200));

    let id = &sim.guests()[0].id;
    sim.fault(Fault::once(On::Invalidate, Effect::CutBody));
    let reply = invalidate(&sim, &token, id).await;
    let cut = Broken::Cut { got: 1, promised: 2 };
    assert_eq!(reply.unwrap_err(), cut);
    assert!(sim.invalidated(id));
}

#[tokio::test]
async fn a_dropped_field_is_missing_from_the_answer_only() {
    let (sim, token) = with(Effect::DropField("guestToken".into())).await;
    let answer = create(&sim, &token, "{}").await.unwrap().json();
    assert!(answer.get("guestToken").is_none());
    assert_eq!(answer["id"], sim.guests()[0].id);
    assert!(!sim.guests()[0].token.is_empty());
}

#[tokio::test]
async fn latency_lets_the_rules_after_it_apply() {
    let (sim, token) = with(Effect::Latency(60)).await;
    sim.fault(Fault::once(On::Any, status(503, None, None)));
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 503);
    let call = last_create(&sim);
    assert_eq!(call.faults[0], Effect::Latency(60));
    assert_eq!(call.faults.len(), 2);

    sim.fault(Fault::once(On::Create, Effect::Latency(2_000)));
    assert_silent(create(&sim, &token, "{}")).await;
}

#[tokio::test]
async fn rules_apply_in_order_and_as_often_as_they_say() {
    let (sim, token) = with(status(500, None, None)).await;
    sim.fault(Fault::times(On::Api, 2, status(502, None, None)));
    sim.fault(Fault::always(On::Create, status(504, None, None)));
    for expected in [500, 502, 502, 504, 504] {
        assert_eq!(create(&sim, &token, "{}").await.unwrap().status, expected);
    }
    assert_eq!(sim.faults().len(), 1);
    sim.clear_faults();
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_rule_touches_only_the_calls_it_is_for() {
    let sim = start().await;
    let token = token(&sim).await;
    let id = created_id(&sim, &token).await;
    sim.fault(Fault::always(On::Token, status(500, None, None)));
    let form = "grant_type=client_credentials";
    assert_eq!(ask_token(&sim, form).await.unwrap().status, 500);
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);

    sim.clear_faults();
    sim.fault(Fault::always(On::Invalidate, status(500, None, None)));
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
    assert_eq!(invalidate(&sim, &token, &id).await.unwrap().status, 500);

    sim.clear_faults();
    sim.fault(Fault::always(On::Api, status(500, None, None)));
    assert_eq!(ask_token(&sim, form).await.unwrap().status, 200);
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 500);
    assert_eq!(invalidate(&sim, &token, &id).await.unwrap().status, 500);
}

#[tokio::test]
async fn a_refused_call_keeps_its_refusal_under_a_malformed_body() {
    let (sim, _) = with(Effect::MalformedBody("?".into())).await;
    let reply = create(&sim, "nonsense", "{}").await.unwrap();
    reply.assert_genesys_error(401, "bad.credentials");
}

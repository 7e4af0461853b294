//! What the ledger records.

use genesys_sim::CallKind;

use crate::client::*;

#[tokio::test]
async fn calls_are_recorded_in_order_with_all_that_is_known() {
    let sim = start().await;
    let token = token(&sim).await;
    let id = created_id(&sim, &token).await;
    invalidate(&sim, &token, &id).await.unwrap();
    let path = format!("{GUESTS}?q=1");
    call(sim.addr(), "GET", &path, &[], "").await.unwrap();

    let calls = sim.calls();
    let kinds: Vec<_> = calls.iter().map(|call| call.kind).collect();
    use CallKind::{Create, Invalidate, Other, Token};
    assert_eq!(kinds, [Token, Create, Invalidate, Other]);
    let statuses: Vec<_> = calls.iter().filter_map(|call| call.status).collect();
    assert_eq!(statuses, [200, 200, 204, 405]);
    let authorized: Vec<_> = calls.iter().map(|call| call.authorization_ok).collect();
    assert_eq!(authorized, [true, true, true, false]);

    let created = &calls[1];
    assert_eq!((created.method.as_str(), created.path.as_str()), ("POST", GUESTS));
    assert_eq!(created.user_agent.as_deref(), Some("guestpass/test"));
    assert_eq!(created.guest_id.as_ref(), Some(&id));
    assert_eq!(created.query, "");
    assert!(created.at_ms > 1_600_000_000_000);
    assert_eq!(created.correlation_id.len(), 36);
    assert_eq!(calls[2].guest_id.as_ref(), Some(&id));
    assert_eq!((calls[3].path.as_str(), calls[3].query.as_str()), (GUESTS, "q=1"));
    assert!(calls.windows(2).all(|two| two[0].at_ms <= two[1].at_ms));

    assert_eq!(sim.count(Create), 1);
    assert_eq!(sim.calls_of(Create).len(), 1);
}

#[tokio::test]
async fn a_reset_ledger_is_empty_and_counts_anew_even_under_calls_in_flight() {
    let sim = start().await;
    let token = token(&sim).await;
    let id = created_id(&sim, &token).await;
    sim.set_latency(500, 0, 0);
    let in_flight = tokio::spawn({
        let (sim, token) = (sim.clone(), token.clone());
        async move { create(&sim, &token, "{}").await }
    });
    while sim.count(CallKind::Create) < 2 {
        wait_ms(5).await;
    }
    sim.reset_ledger();
    assert!(sim.calls().is_empty() && sim.guests().is_empty());
    assert_eq!(invalidate(&sim, &token, &id).await.unwrap().status, 404);
    in_flight.await.unwrap().unwrap();
    assert_eq!(sim.guests().len(), 1);
    assert_eq!(sim.calls().len(), 1);
    assert_eq!(sim.calls()[0].status, Some(404));
}

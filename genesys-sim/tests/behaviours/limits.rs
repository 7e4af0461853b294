//! The rate limit, latency as a setting, and the end of a simulator.

use genesys_sim::{CallKind, RateLimit, Sim, SimConfig};
use tokio::net::TcpStream;

use crate::client::*;

#[tokio::test]
async fn calls_beyond_the_limit_are_told_when_to_come_back() {
    let sim = start_with(SimConfig {
        rate_limit: Some(RateLimit { calls: 2, window_ms: 41_990 }),
        ..SimConfig::default()
    })
    .await;
    let token = token(&sim).await;
    for count in ["1", "2"] {
        let reply = create(&sim, &token, "{}").await.unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("inin-ratelimit-count"), Some(count));
        assert_eq!(reply.header("inin-ratelimit-allowed"), Some("2"));
        assert_eq!(reply.header("inin-ratelimit-reset"), Some("42"));
    }
    let reply = create(&sim, &token, "{}").await.unwrap();
    reply.assert_genesys_error(429, "too.many.requests.retry.after");
    assert_eq!(reply.header("Retry-After"), Some("42"));
    assert_eq!(
        reply.json()["message"],
        "Rate limit exceeded the maximum. Retry the request in [42] seconds"
    );
    assert_eq!(sim.guests().len(), 2);
    assert_eq!(sim.count(CallKind::Create), 3);
}

#[tokio::test]
async fn a_new_window_lets_calls_through_again() {
    let sim = start().await;
    sim.set_rate_limit(Some((1, 1_000)));
    let token = token(&sim).await;
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
    let reply = create(&sim, &token, "{}").await.unwrap();
    assert_eq!((reply.status, reply.header("Retry-After")), (429, Some("1")));
    wait_ms(1_020).await;
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn access_tokens_are_not_limited() {
    let sim = start().await;
    sim.set_rate_limit(Some((0, 60_000)));
    let token = token(&sim).await;
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 429);
    sim.set_rate_limit(None);
    assert_eq!(create(&sim, &token, "{}").await.unwrap().status, 200);
}

#[tokio::test]
async fn latency_is_set_for_each_kind_of_call() {
    let sim = start().await;
    sim.set_latency(60_000, 0, 0);
    let token = token(&sim).await;
    assert_silent(create(&sim, &token, "{}")).await;
    assert_eq!(invalidate(&sim, &token, "x").await.unwrap().status, 404);
}

#[tokio::test]
async fn slow_work_is_done_even_when_the_caller_has_gone() {
    let sim = start().await;
    sim.set_latency(1_000, 0, 0);
    let token = token(&sim).await;
    assert_silent(create(&sim, &token, "{}")).await;
    assert!(sim.guests().is_empty());
    wait_ms(1_000).await;
    assert_eq!(sim.guests().len(), 1);
}

#[tokio::test]
async fn a_stopped_simulator_drops_its_connections_and_frees_its_port() {
    let sim = start().await;
    let token = token(&sim).await;
    created_id(&sim, &token).await;
    let mut idle = TcpStream::connect(sim.addr()).await.unwrap();
    sim.stop();
    sim.stopped().await;
    assert!(exchange(&mut idle, "GET", "/sim/healthz", &[], "").await.is_err());
    let refused = create(&sim, &token, "{}").await;
    assert_eq!(refused.unwrap_err(), Broken::Refused);
    assert_eq!(sim.guests().len(), 1, "the ledger outlives it");
    Sim::start(SimConfig::default(), sim.addr()).await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_stops_it() {
    let sim = start().await;
    let (addr, clone) = (sim.addr(), sim.clone());
    drop(sim);
    assert_eq!(admin(addr, "GET", "/sim/healthz", "").await.status, 200);
    drop(clone);
    wait_ms(50).await;
    let refused = call(addr, "GET", "/sim/healthz", &[], "").await;
    assert_eq!(refused.unwrap_err(), Broken::Refused);
}

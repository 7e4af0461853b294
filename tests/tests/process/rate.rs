//! A Retry-After of Genesys binds every process (P8).

use std::net::SocketAddr;

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{issue, run};
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, now_ms, pause};

use crate::world::{Dice, World, issued};

/// Calls that were on their way when the 429 was answered.
const GRACE_MS: u64 = 100;

/// Issues sessions on few devices, so that old ones are revoked, until aborted. Sends what was answered and when.
async fn load(
    addr: SocketAddr,
    mut dice: Dice,
    answers: tokio::sync::mpsc::UnboundedSender<(u64, u16, Option<u64>)>,
) {
    loop {
        let reply = issue(&format!("rate-device-{}", dice.below(12))).send(addr).await;
        let retry_after = match reply.status {
            201 => None,
            429 => reply.problem(429, "device_busy").retry_after,
            _ => reply.problem(503, "genesys_rate_limited").retry_after,
        };
        if answers.send((now_ms(), reply.status, retry_after)).is_err() {
            return;
        }
        pause(ms(20)).await;
    }
}

#[test]
fn no_process_calls_genesys_before_the_time_it_asked_for() {
    run(async {
        let world = World::new().await;
        let origins = [
            world.origin(&[("SWEEP_INTERVAL_MS", "50")]).await,
            world.origin(&[("SWEEP_INTERVAL_MS", "50")]).await,
        ];
        for origin in &origins {
            issued(origin.addr, "rate-device-0").await;
        }
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut dice = crate::world::dice();
        let clients: Vec<_> = (0..6)
            .map(|n: usize| {
                let dice = dice.split();
                tokio::spawn(load(origins[n % 2].addr, dice, sender.clone()))
            })
            .collect();
        eventually("revocations, too, are made", ms(10_000), async || {
            (world.sim.count(CallKind::Invalidate) > 10).then_some(())
        })
        .await;
        let refusal = Effect::Status { code: 429, retry_after: Some("2".into()), body: None };
        world.sim.fault(Fault::once(On::Api, refusal));
        let refused_at = eventually("a call is refused", ms(5000), async || {
            let calls = world.sim.calls();
            calls.iter().find(|call| call.status == Some(429)).map(|call| call.at_ms)
        })
        .await;
        let calls_after = async |kind| {
            eventually("calls are made again", ms(15_000), async || {
                let calls = world.sim.calls_of(kind);
                calls.iter().any(|call| call.at_ms >= refused_at + 2000).then_some(())
            })
            .await;
        };
        calls_after(CallKind::Create).await;
        calls_after(CallKind::Invalidate).await;
        for client in clients {
            client.abort();
        }
        let quiet = refused_at + GRACE_MS..refused_at + 2000;
        let early: Vec<_> = world
            .sim
            .calls()
            .into_iter()
            .filter(|call| quiet.contains(&call.at_ms))
            .map(|call| (call.at_ms - refused_at, call.kind, call.path))
            .collect();
        assert!(early.is_empty(), "called within 2 s of the 429: {early:?}");

        drop(sender);
        let mut refused = 0;
        while let Some((at, status, retry_after)) = receiver.recv().await {
            if quiet.contains(&at) && status == 503 {
                refused += 1;
                assert!(retry_after.is_some_and(|seconds| (1..=2).contains(&seconds)));
            }
        }
        assert!(refused > 20, "only {refused} issues were tried in those 2 s");
    });
}

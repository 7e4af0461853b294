//! Caps and rates.

use genesys_sim::{CallKind, Effect, Fault, On};

use super::{Session, device, figure, guest_ids, invalidated, listed};
use crate::host::{Host, Launch, issue};

/// The oldest goes first, and is revoked.
pub async fn a_full_device_evicts_its_oldest_session(host: &Host) {
    let fingerprint = device();
    let mut issued = Vec::new();
    for n in 0..5 {
        let session = Session::issue(host, &fingerprint).await;
        assert_eq!(session.evicted, u64::from(n >= 3), "issue {n}");
        issued.push(session.guest_id);
    }
    assert_eq!(guest_ids(&listed(host, &fingerprint).await), issued[2..]);
    invalidated(host, &issued[0]).await;
    invalidated(host, &issued[1]).await;
    assert!(issued[2..].iter().all(|guest| !host.sim.invalidated(guest)));
}

/// As many creates in flight as the device may have sessions.
pub async fn device_busy(host: &Host) {
    let fingerprint = device();
    let busy = figure(host, "counters", "busy").await;
    host.sim.fault(Fault::times(On::Create, 2, Effect::Latency(800)));
    let request = issue(&fingerprint);
    let (first, second, third) = tokio::join!(host.send(&request), host.send(&request), async {
        crate::real_time::eventually("two creates in flight", crate::wait::ms(3000), async || {
            (figure(host, "gauges", "inFlight").await == 2).then_some(())
        })
        .await;
        host.send(&request).await
    });
    let problem = third.problem(429, "device_busy");
    assert!(problem.retry_after.is_some_and(|seconds| seconds >= 1));
    let _ = (Session::of(&first), Session::of(&second));
    assert_eq!(figure(host, "counters", "busy").await, busy + 1);
    let _ = Session::issue(host, &fingerprint).await;
}

/// So many issues a minute for a device, replays aside.
pub async fn rate_limited_by_device(launch: &impl Launch) {
    let host = launch.start(&[("RATE_LIMIT_PER_DEVICE", "2")]).await;
    // Three issues within one window of a minute; a window that ends in between starts anew.
    for _ in 0..2 {
        let fingerprint = device();
        let keyed = issue(&fingerprint).header("Idempotency-Key", "k");
        let first = host.send(&keyed).await;
        let _ = Session::of(&host.send(&keyed).await);
        let _ = Session::issue(&host, &fingerprint).await;
        let third = host.issue(&fingerprint).await;
        if third.status == 201 {
            continue;
        }
        let problem = third.problem(429, "rate_limited");
        assert!(problem.retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
        assert_eq!(Session::of(&host.send(&keyed).await), Session::of(&first));
        assert_eq!(figure(&host, "counters", "rateLimited").await, 1);
        let _ = Session::issue(&host, &device()).await;
        return;
    }
    panic!("no limit was met");
}

/// So many issues a minute for an address.
pub async fn rate_limited_by_address(launch: &impl Launch) {
    let host = launch.start(&[("RATE_LIMIT_PER_IP", "3")]).await;
    let creates = || host.sim.count(CallKind::Create);
    let mut refused = None;
    // At most one window ends meanwhile.
    for _ in 0..8 {
        let before = creates();
        let reply = host.issue(&device()).await;
        if reply.status != 201 {
            assert_eq!(creates(), before);
            refused = Some(reply);
            break;
        }
    }
    let problem = refused.expect("a limit is met").problem(429, "rate_limited");
    assert!(problem.retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
}

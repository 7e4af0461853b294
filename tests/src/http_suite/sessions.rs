//! A session's life: expiry, renewal, age.

use super::{Session, by_guest, device, figure, invalidated, listed};
use crate::host::{Launch, sessions};
use crate::real_time::eventually;
use crate::wait::ms;

/// What expires counts for nothing, and is revoked by an operator's sweep or the host's own.
pub async fn an_inactive_device_expires_and_is_revoked(launch: &impl Launch) {
    let host = launch.start(&[("SESSION_TTL_SECONDS", "1")]).await;
    let fingerprint = device();
    let session = Session::issue(&host, &fingerprint).await;
    eventually("the session expires", ms(3000), async || {
        listed(&host, &fingerprint).await.is_empty().then_some(())
    })
    .await;
    let path = format!("{}/{}/renew", sessions(&fingerprint), session.guest_id);
    let _ = host.send(&by_guest("POST", &path, &session)).await.problem(404, "session_not_found");
    let _ = host.operate("POST", "/v1/sweep").await.expect(200);
    invalidated(&host, &session.guest_id).await;
    assert_eq!(figure(&host, "counters", "expired").await, 1);
    assert_eq!(figure(&host, "gauges", "devices").await, 0);
}

/// Renewing keeps all of a device's sessions, however long.
pub async fn a_renewed_device_lives_on(launch: &impl Launch) {
    let host = launch.start(&[("SESSION_TTL_SECONDS", "2")]).await;
    let fingerprint = device();
    let other = Session::issue(&host, &fingerprint).await;
    let session = Session::issue(&host, &fingerprint).await;
    let path = format!("{}/{}/renew", sessions(&fingerprint), session.guest_id);
    for _ in 0..6 {
        crate::wait::pause(ms(500)).await;
        let _ = host.send(&by_guest("POST", &path, &session)).await.expect(200);
    }
    assert_eq!(listed(&host, &fingerprint).await.len(), 2);
    assert!(!host.sim.invalidated(&other.guest_id) && !host.sim.invalidated(&session.guest_id));
}

/// No renewal lets a session pass its maximum age.
pub async fn a_session_never_passes_its_maximum_age(launch: &impl Launch) {
    let host =
        launch.start(&[("SESSION_TTL_SECONDS", "60"), ("SESSION_MAX_AGE_SECONDS", "2")]).await;
    let fingerprint = device();
    let session = Session::issue(&host, &fingerprint).await;
    assert_eq!(super::millis_between(&session.created_at, &session.expires_at), 2000);
    let path = format!("{}/{}/renew", sessions(&fingerprint), session.guest_id);
    let renewed = host.send(&by_guest("POST", &path, &session)).await.expect(200).json();
    assert_eq!(renewed["expiresAt"], session.expires_at.as_str());
    let expired = eventually("the session expires", ms(4000), async || {
        listed(&host, &fingerprint).await.is_empty().then_some(())
    });
    expired.await;
    let _ = host.operate("POST", "/v1/sweep").await.expect(200);
    invalidated(&host, &session.guest_id).await;
}

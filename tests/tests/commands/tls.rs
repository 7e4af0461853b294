//! A Redis that speaks TLS. Its certificate, in the folder beside this file, is for tests alone.

use genesys_sim::SimConfig;
use guestpass_tests::host::{Settings, issue, start_sim};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_server::{RedisServer, free_port};
use guestpass_tests::wait::ms;

use crate::check::check_redis;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands/tls");

/// Has nothing but the authority of the test's certificate trusted.
const TRUSTED: Settings<'_> =
    &[("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands/tls/authority.crt"))];

/// A server, and the port where it speaks TLS.
fn start() -> (RedisServer, u16) {
    let (port, certificate, key) =
        (free_port(), format!("{FOLDER}/server.crt"), format!("{FOLDER}/server.key"));
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ]);
    (server, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_reached_by_tls_and_its_certificate_is_checked() {
    let (server, port) = start();
    for host in ["localhost", "127.0.0.1"] {
        check_redis(&format!("rediss://{host}:{port}"), TRUSTED).await.succeeds();
    }
    let untrusted = check_redis(&format!("rediss://localhost:{port}"), &[]).await;
    untrusted.fails("Redis", "the server's certificate is not trusted here");
    let plain = check_redis(&format!("redis://localhost:{port}"), &[]).await;
    plain.fails("Redis", "if the server speaks TLS, use rediss://");
    let unneeded = check_redis(&server.url().replace("redis:", "rediss:"), TRUSTED).await;
    unneeded.fails("Redis", "if the server does not speak TLS, use redis://");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_keeps_its_sessions_behind_tls() {
    let (mut server, port) = start();
    let url = format!("rediss://127.0.0.1:{port}");
    let sim = start_sim(SimConfig::default()).await;
    let origin = Origin::start(&sim, &[&[("REDIS_URL", url.as_str())], TRUSTED].concat()).await;
    let first = Session::of(&origin.send(&issue("tls-device")).await);
    for n in 2..=4 {
        let session = Session::of(&origin.send(&issue("tls-device")).await);
        assert_eq!(session.evicted, u64::from(n == 4));
    }
    eventually("the first is revoked", ms(5000), async || {
        sim.invalidated(&first.guest_id).then_some(())
    })
    .await;
    assert_eq!(server.query::<u64>(&["ZCARD", "msg:guest:tls-device"]), 3);

    server.restart();
    eventually("it recovers", ms(5000), async || {
        (origin.send(&issue("tls-device")).await.status == 201).then_some(())
    })
    .await;
}

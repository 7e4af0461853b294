//! A Redis that answers scripts with what no Redis would: huge, deeply nested, cut, of the wrong type, or no
//! protocol at all. Callers get a 503, nothing is created, and the process lives on.

use std::sync::Arc;

use genesys_sim::{CallKind, SimConfig};
use guestpass_tests::host::{Host, start_sim};
use guestpass_tests::http_client::Reply;
use guestpass_tests::http_suite::device;
use guestpass_tests::listener::handle_each;
use guestpass_tests::origin::Origin;
use guestpass_tests::wait::{ms, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

/// Says OK to what a client sends to set up its connection, and the answer to every script.
async fn pretend(mut client: TcpStream, answer: Arc<[u8]>) {
    let mut seen = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut seen).await {
        let text = String::from_utf8_lossy(&seen[..length]).into_owned();
        let set_up = b"+OK\r\n".repeat(text.matches('*').count());
        let reply = if text.contains("EVAL") { &answer[..] } else { &set_up };
        if client.write_all(reply).await.is_err() {
            return;
        }
    }
}

/// What an issue says when scripts are answered with this, by an origin that still runs afterwards.
async fn issued_with(answer: Vec<u8>) -> (Reply, usize) {
    let answer: Arc<[u8]> = answer.into();
    let addr = handle_each(move |client| pretend(client, answer.clone())).await;
    let url = format!("redis://{addr}");
    let sim = start_sim(SimConfig::default()).await;
    let origin = Origin::start(&sim, &[("REDIS_URL", &url)]).await;
    let host = Host::new(origin.addr, sim, origin);
    let reply = within(ms(20_000), host.issue(&device())).await.expect("an answer in time");
    assert_eq!(host.get("/healthz").await.status, 200);
    (reply, host.sim.count(CallKind::Create))
}

#[tokio::test]
async fn no_reply_of_redis_ends_the_process_or_creates_a_guest() {
    // What a real one says, to show that replies arrive.
    let busy = b"*3\r\n$4\r\nbusy\r\n$0\r\n\r\n:0\r\n";
    let _ = issued_with(busy.to_vec()).await.0.problem(429, "device_busy");

    let long = [&b"+"[..], &b"x".repeat(10_000_000), b"\r\n"].concat();
    let replies: [(&str, Vec<u8>); 16] = [
        ("a huge array", b"*1000000000000\r\n".to_vec()),
        ("the hugest array", b"*9223372036854775807\r\n".to_vec()),
        ("a huge map", b"%4611686018427387903\r\n".to_vec()),
        ("a huge set", b"~1000000000000\r\n".to_vec()),
        ("a huge push", b">1000000000000\r\n".to_vec()),
        ("a huge string", b"$1000000000000\r\nabc".to_vec()),
        ("a string of negative length", b"$-5\r\n".to_vec()),
        ("deep nesting", b"*1\r\n".repeat(100_000)),
        ("a number too great", b":99999999999999999999999\r\n".to_vec()),
        ("a long line", long),
        ("no protocol", (0..=255).cycle().take(5_000).collect()),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("nothing", b"$-1\r\n".to_vec()),
        ("an empty array", b"*0\r\n".to_vec()),
        ("a boolean", b"#t\r\n".to_vec()),
        ("an error that is no text", b"-\xff\xfe\r\n".to_vec()),
    ];
    let local = LocalSet::new();
    let mut answers = JoinSet::new();
    for (name, reply) in replies {
        answers.spawn_local_on(async move { (name, issued_with(reply).await) }, &local);
    }
    local.await;
    for answer in answers.join_all().await {
        let (name, (reply, creates)) = answer;
        assert_eq!((reply.status, creates), (503, 0), "{name}");
        let _ = reply.problem(503, "store_unavailable");
    }
}

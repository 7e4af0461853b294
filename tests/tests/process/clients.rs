//! Clients that are idle, slow, oversize or malformed: others do not notice, and slow ones are cut off.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use guestpass_tests::host::{issue, run, sessions};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::real_time::timed;
use guestpass_tests::wait::{ms, pause, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{World, issued};

async fn connected(addr: SocketAddr, sends: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(sends).await.expect("it reads");
    stream
}

/// Sends one more byte every second, until the server ends the connection; answers how long that took.
async fn dripping(addr: SocketAddr, begin: &[u8]) -> Duration {
    let stream = connected(addr, begin).await;
    let (mut from, mut to) = stream.into_split();
    let drip = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            pause(ms(1000)).await;
        }
    });
    let mut rest = Vec::new();
    let (end, took) = timed(within(ms(45_000), from.read_to_end(&mut rest))).await;
    drip.abort();
    assert!(end.is_some(), "a slow client is never cut off");
    took
}

/// Whether the server refuses these bytes: by an answer that is no success, or by closing.
async fn refused(addr: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    // It may have enough before it has read everything.
    let _ = stream.write_all(bytes).await;
    match within(ms(5000), Reply::read(stream, false)).await {
        Some(Ok(reply)) => (400..500).contains(&reply.status),
        Some(Err(_)) => true,
        None => false,
    }
}

#[test]
fn bad_clients_do_not_keep_others_out_and_slow_ones_are_cut_off() {
    run(async {
        let world = World::new().await;
        let origin = world.origin(&[]).await;
        let addr = origin.addr;
        let slow_head = b"GET /healthz HTTP/1.1\r\nHost: guestpass.test\r\nX-Slow: ";
        let target = sessions("slow-device");
        let slow_body = format!(
            "POST {target} HTTP/1.1\r\nHost: guestpass.test\r\nContent-Type: application/json\r\n\
             Content-Length: 1000\r\n\r\n{{"
        );
        let slow = tokio::spawn(async move {
            let heads = join_all((0..20).map(|_| dripping(addr, slow_head)));
            let bodies = join_all((0..20).map(|_| dripping(addr, slow_body.as_bytes())));
            let (heads, bodies) = futures_util::future::join(heads, bodies).await;
            [heads, bodies].concat()
        });
        let idle = join_all((0..300).map(|_| connected(addr, b""))).await;
        let half = join_all((0..100).map(|_| connected(addr, b"POST /v1/dev"))).await;

        let path = sessions("oversize-device");
        let big = vec![b'x'; 1 << 20];
        let big_header = Request::new("GET", "/healthz").header("X-Big", &big).bytes();
        let big_target = Request::new("GET", &format!("/{}", "x".repeat(1 << 20))).bytes();
        let many = (0..5000).fold(Request::new("GET", "/healthz"), |request, n| {
            request.header(&format!("X-Header-{n}"), "x")
        });
        let big_body = Request::new("POST", &path).json(&big).bytes();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: guestpass.test\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let endless = head + &format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(1100);
        let bad: [&[u8]; 9] = [
            &big_header,
            &big_target,
            &many.bytes(),
            &big_body,
            endless.as_bytes(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET /healthz\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        ];
        for (n, bytes) in bad.iter().enumerate() {
            assert!(refused(addr, bytes).await, "number {n} is not refused");
        }
        let worst = join_all((0..20).map(|n| {
            let request = issue(&format!("patient-device-{n}"));
            async move {
                let (reply, took) = timed(request.send(addr)).await;
                assert_eq!(reply.status, 201);
                took
            }
        }));
        let worst = worst.await.into_iter().max().expect("some");
        assert!(worst < Duration::from_secs(2), "others wait {worst:?}");
        for stream in &idle {
            // Not one of them was thrown out for the others.
            let mut byte = [0];
            let read = stream.try_read(&mut byte);
            assert!(read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
        }
        drop((idle, half));
        for took in slow.await.expect("the slow ones end") {
            let bounds = Duration::from_secs(29)..Duration::from_secs(35);
            assert!(bounds.contains(&took), "cut off after {took:?}");
        }
        issued(origin.addr, "patient-device-0").await;
        assert_eq!(world.tracked("slow-device"), [""; 0]);
        assert_eq!(world.tracked("oversize-device"), [""; 0]);
    });
}

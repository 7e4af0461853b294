//! A TCP proxy before Redis that counts round trips, and can hold replies back to tell them apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use guestpass_tests::listener::handle_each;
use guestpass_tests::wait::{ms, pause};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What all connections share.
#[derive(Default)]
struct Shared {
    /// How long each reply is held back, in milliseconds.
    delay_ms: AtomicU64,
    /// Whether a request has come since the last reply.
    asked: AtomicBool,
    /// Requests, or bursts of them, that have had a reply.
    round_trips: AtomicUsize,
}

/// The proxy; it lasts as long as the runtime.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let shared = Arc::<Shared>::default();
        let carried = shared.clone();
        let addr = handle_each(move |client| carry(client, port, carried.clone())).await;
        Self { addr, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    pub(crate) fn hold_replies(&self, delay_ms: u64) {
        self.shared.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Waits until nothing has been asked for a while: a drain ends with one more question.
    pub(crate) async fn quiet(&self) {
        loop {
            let before = self.round_trips();
            pause(ms(100)).await;
            if self.round_trips() == before && !self.shared.asked.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// How many requests, or bursts of requests, have had their reply.
    pub(crate) fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, port: u16, shared: Arc<Shared>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.expect("Redis listens");
    client.set_nodelay(true).expect("a socket option");
    server.set_nodelay(true).expect("a socket option");
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(ask(from_client, to_server, shared.clone()));
    tokio::spawn(reply(from_server, to_client, shared));
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        shared.asked.store(true, Ordering::SeqCst);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn reply(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        pause(ms(shared.delay_ms.load(Ordering::SeqCst))).await;
        // Before the reply is passed on, so that it is counted before its consequences.
        if shared.asked.swap(false, Ordering::SeqCst) {
            shared.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

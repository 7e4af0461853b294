//! A TCP proxy before a Redis that counts how often it gives leave to create a guest, and whose connections a test can
//! reset.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guestpass_tests::listener::handle_each;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// How an admit's answer begins.
const LEAVE: &[u8] = b"$7\r\ngranted\r\n";

/// A proxy before a port of this machine; it lasts as long as the runtime.
pub(crate) struct TcpProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    breaks: Notify,
    broken: AtomicUsize,
    leaves: AtomicUsize,
}

impl TcpProxy {
    /// Starts one.
    pub(crate) async fn before(port: u16) -> Self {
        let shared = Arc::<Shared>::default();
        let carried = shared.clone();
        let addr = handle_each(move |client| carry(client, port, carried.clone())).await;
        Self { addr, shared }
    }

    /// The URL of the Redis behind it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// Resets every connection there is, whatever is on its way.
    pub(crate) fn reset_all(&self) {
        self.shared.breaks.notify_waiters();
    }

    /// How many connections were reset so far.
    pub(crate) fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// How often leave was given so far.
    pub(crate) fn leaves(&self) -> usize {
        self.shared.leaves.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: TcpStream, port: u16, shared: Arc<Shared>) {
    let broken = shared.breaks.notified();
    // Nobody there: the client sees its connection end.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = pass(from_client, to_server, |_| {}) => false,
            () = pass(from_server, to_client, |bytes| shared.count(bytes)) => false,
            () = broken => true,
        }
    };
    if is_broken {
        shared.broken.fetch_add(1, Ordering::Relaxed);
        // With no lingering, closing sends RST.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

impl Shared {
    fn count(&self, bytes: &[u8]) {
        let leaves = bytes.windows(LEAVE.len()).filter(|window| *window == LEAVE).count();
        self.leaves.fetch_add(leaves, Ordering::SeqCst);
    }
}

/// Passes on what comes until either side ends. `look` sees it first, each time after the end of what it has seen
/// before, in which a leave may have begun.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, look: impl Fn(&[u8])) {
    let (mut buffer, mut end) = (vec![0; 65_536], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        end.extend_from_slice(&buffer[..length]);
        look(&end);
        end.drain(..end.len().saturating_sub(LEAVE.len() - 1));
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

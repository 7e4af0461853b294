//! A TCP proxy whose connections a test can break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A proxy before a port of this machine; it lasts as long as the runtime.
pub(crate) struct TcpProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    breaks: Notify,
    broken: AtomicUsize,
}

impl TcpProxy {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it has an address");
        let shared = Arc::<Shared>::default();
        tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carry(client, port, shared.clone()));
                }
            }
        });
        Self { addr, shared }
    }

    /// Where it listens.
    #[must_use]
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets every connection there is, whatever is on its way.
    pub(crate) fn reset_all(&self) {
        self.shared.breaks.notify_waiters();
    }

    /// How many connections were reset so far.
    #[must_use]
    pub(crate) fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::Relaxed)
    }
}

async fn carry(mut client: TcpStream, port: u16, shared: Arc<Shared>) {
    let broken = shared.breaks.notified();
    // Nobody there: the client sees its connection end.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = broken => {
            shared.broken.fetch_add(1, Ordering::Relaxed);
            // With no lingering, closing sends RST.
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }
}

//! The server: accepts connections, bounds them, and winds down. Everything about sockets is in this folder;
//! what a request means is not.

mod connections;
mod exchange;
mod phase;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use guestpass_core::seams::{Clock as _, GuestProvider, SessionStore};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use crate::clock::{SystemClock, within};
use crate::origin::Origin;
use crate::process_metrics::open_files_limit;
use connections::Connections;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;

/// Connections at once where the system names no limit on open files.
const MOST_CONNECTIONS: usize = 65_536;

/// How long winding down may take.
pub const WIND_DOWN_LIMIT: Duration = Duration::from_secs(10);

/// Listens on an address.
///
/// # Errors
/// The operating system's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for connections of the process before it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What was still under way when the time for winding down was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leftover {
    /// Open connections.
    pub connections: usize,
    /// Requests that were being worked on.
    pub requests: usize,
    /// Creates that were being brought to an end.
    pub rescues: usize,
    /// Whether a sweep was running.
    pub sweeping: bool,
}

impl Leftover {
    /// Whether all work came to its end. Connections do not count: no request of theirs was under way.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.requests == 0 && self.rescues == 0 && !self.sweeping
    }
}

/// Serves until `stop` comes, then winds down: no more connections, no more claims, and what is under way
/// is brought to its end, all within [`WIND_DOWN_LIMIT`].
pub async fn run<S, P>(
    origin: Arc<Origin<S, P>>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Leftover
where
    S: SessionStore,
    P: GuestProvider,
{
    let connections = Arc::new(Connections::new(most_connections()));
    let tasks = TaskTracker::new();
    let clock = SystemClock;
    let serving = async {
        let mut door =
            Door { origin: &origin, connections: &connections, tasks: &tasks, next_id: 0 };
        tokio::select! {
            () = door.accept(&listener) => {}
            () = stop => {}
        }
        // Whom the kernel has let in already is served, too.
        for _ in 0..BACKLOG {
            let Some(Ok((stream, peer))) = listener.accept().now_or_never() else { break };
            door.enter(stream, peer);
        }
        drop(listener);
        origin.stop();
        connections.finish();
        tasks.close();
        let all_done = async { tokio::join!(tasks.wait(), origin.settled()) };
        let _ = within(WIND_DOWN_LIMIT, all_done).await;
        Leftover { connections: tasks.len(), ..origin.leftover() }
    };
    tokio::select! {
        leftover = serving => leftover,
        // It never ends.
        () = connections.watch(&clock) => Leftover::default(),
    }
}

/// A part of the files that may be open; the rest is for calls to Genesys, Redis and logs.
fn most_connections() -> usize {
    let limit = open_files_limit().and_then(|limit| usize::try_from(limit).ok());
    limit.map_or(MOST_CONNECTIONS, |limit| (limit / 4 * 3).clamp(16, MOST_CONNECTIONS))
}

/// Where connections come in.
struct Door<'a, S, P> {
    origin: &'a Arc<Origin<S, P>>,
    connections: &'a Arc<Connections>,
    tasks: &'a TaskTracker,
    next_id: u64,
}

impl<S: SessionStore, P: GuestProvider> Door<'_, S, P> {
    /// Accepts connections for ever.
    async fn accept(&mut self, listener: &TcpListener) {
        loop {
            while self.connections.is_full() {
                // Where all are being worked on, the kernel's queue holds the next one until one is done.
                let is_room_coming = self.connections.make_room();
                SystemClock.sleep(Duration::from_millis(if is_room_coming { 1 } else { 10 })).await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => self.enter(stream, peer),
                // Nobody to serve: that client is gone.
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    if self.connections.should_complain() {
                        tracing::error!(%error, "cannot accept connections; waiting until there is room");
                    }
                    self.connections.make_room();
                    SystemClock.sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn enter(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Without it an answer is only slower.
        let _ = stream.set_nodelay(true);
        self.next_id += 1;
        let member = self.connections.join(self.next_id);
        self.tasks.spawn(exchange::serve(self.origin.clone(), stream, peer.ip(), member));
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

//! The handle: starting and stopping a simulator, its faults and settings, and its ledger.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{LatencyMs, RateLimit, SimConfig};
use crate::fault::Fault;
use crate::ledger::{Call, CallKind, Guest};
use crate::serve;
use crate::state::Shared;

/// A running simulator. Clones are the same one; it stops with [`Sim::stop`] or when the last is
/// dropped.
#[derive(Clone)]
pub struct Sim {
    running: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    addr: SocketAddr,
    stop: watch::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Sim {
    /// Listens on `addr` (port 0 picks a free one) and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(config: SimConfig, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config));
        let (stop, stopped) = watch::channel(());
        tokio::spawn(serve::accept(listener, shared.clone(), stopped));
        Ok(Self { running: Arc::new(Running { shared, addr, stop }) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// Its base URL without a final slash, for login and API alike.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }

    /// Stops listening and closes all connections, soon; nothing is worked on any more. The ledger
    /// stays readable.
    pub fn stop(&self) {
        self.running.shared.stop();
        self.running.stop.send_replace(());
    }

    /// After [`Sim::stop`], waits until the port is free and all connections are closed.
    pub async fn stopped(&self) {
        self.running.stop.closed().await;
    }

    /// Adds a rule at the end of the queue.
    pub fn fault(&self, fault: Fault) {
        self.running.shared.state().faults.rules.push(fault);
    }

    /// Drops all rules.
    pub fn clear_faults(&self) {
        self.running.shared.state().faults.rules.clear();
    }

    /// The rules still in force, each with the times it has left.
    pub fn faults(&self) -> Vec<Fault> {
        self.running.shared.state().faults.rules.clone()
    }

    /// From now on every access token handed out so far gets 401.
    pub fn revoke_tokens(&self) {
        self.running.shared.state().access_tokens.clear();
    }

    /// Allows so many API calls per window of so many milliseconds, or any number; opens a fresh
    /// window.
    pub fn set_rate_limit(&self, limit: Option<(u32, u64)>) {
        let limit = limit.map(|(calls, window_ms)| RateLimit { calls, window_ms });
        self.running.shared.state().set_rate_limit(limit);
    }

    /// How long access tokens handed out from now on live, in seconds; 0 makes them expired at once.
    pub fn set_token_ttl(&self, seconds: u64) {
        self.running.shared.state().settings.token_ttl_seconds = seconds;
    }

    /// How long each kind of call takes, in milliseconds.
    pub fn set_latency(&self, create_ms: u64, invalidate_ms: u64, token_ms: u64) {
        self.running.shared.state().settings.latency_ms =
            LatencyMs { create: create_ms, invalidate: invalidate_ms, token: token_ms };
    }

    /// All guests, in the order they were made.
    pub fn guests(&self) -> Vec<Guest> {
        self.running.shared.state().ledger.guests.clone()
    }

    /// The guests that were never invalidated.
    pub fn live_guests(&self) -> Vec<Guest> {
        let state = self.running.shared.state();
        let guests = state.ledger.guests.iter();
        guests.filter(|guest| guest.invalidated_at_ms.is_empty()).cloned().collect()
    }

    /// Whether that guest was invalidated; `false` for an unknown one.
    pub fn invalidated(&self, id: &str) -> bool {
        let mut state = self.running.shared.state();
        let guest = state.ledger.guest(id);
        guest.is_some_and(|guest| !guest.invalidated_at_ms.is_empty())
    }

    /// All calls, in the order they arrived.
    pub fn calls(&self) -> Vec<Call> {
        self.running.shared.state().ledger.calls.clone()
    }

    /// The calls of one kind, in the order they arrived.
    pub fn calls_of(&self, kind: CallKind) -> Vec<Call> {
        let state = self.running.shared.state();
        let calls = state.ledger.calls.iter();
        calls.filter(|call| call.kind == kind).cloned().collect()
    }

    /// How many calls of one kind arrived.
    pub fn count(&self, kind: CallKind) -> usize {
        let state = self.running.shared.state();
        let calls = state.ledger.calls.iter();
        calls.filter(|call| call.kind == kind).count()
    }

    /// Forgets all guests and calls; faults, settings and access tokens stay.
    pub fn reset_ledger(&self) {
        self.running.shared.state().ledger.reset();
    }
}

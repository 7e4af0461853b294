//! A load of visitors, their pages and operators: every call of the interface, from a seed. It knows which answers
//! the contract allows, and keeps what was answered, so that it can be compared with the simulator's ledger.

mod log;
mod visitor;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

pub(crate) use log::{Entry, Log};
pub(crate) use visitor::Call;

use guestpass_server::http_client::HttpClient;
use guestpass_tests::http_suite::Session;
use guestpass_tests::world::Dice;

/// What a load does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The devices' names.
    pub(crate) devices: Vec<String>,
    /// Clients that each send one request at a time.
    pub(crate) clients: usize,
    /// The longest pause of a client between two requests; they are half as long on average.
    pub(crate) pace: Duration,
    /// Whether operators are among the callers; otherwise all is issued, renewed and ended by visitors.
    pub(crate) operators: bool,
    /// How many of a hundred issues have an idempotency key.
    pub(crate) keyed: u64,
    /// The most sessions that a device may ever be seen to have.
    pub(crate) cap: usize,
}

impl Plan {
    /// Visitors and operators on so many devices.
    #[must_use]
    pub(crate) fn on(name: &str, devices: usize, clients: usize, pace: Duration) -> Self {
        let devices = (0..devices).map(|n| format!("{name}-device-{n}")).collect();
        Self { devices, clients, pace, operators: true, keyed: 30, cap: usize::MAX }
    }
}

/// A load that goes on until it is ended.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

/// What all clients of a load share.
struct Shared {
    plan: Plan,
    hosts: Vec<SocketAddr>,
    connections: HttpClient,
    stop: AtomicBool,
    log: Mutex<Log>,
    /// Sessions that somebody holds.
    held: Mutex<Vec<(String, Session)>>,
}

impl Load {
    /// Begins; the clients are spread over the hosts.
    ///
    /// # Panics
    /// When there is no client for HTTP.
    #[must_use]
    pub(crate) fn begin(hosts: &[SocketAddr], plan: Plan, mut dice: Dice) -> Self {
        let shared = Arc::new(Shared {
            hosts: hosts.to_vec(),
            connections: HttpClient::new().expect("TLS can be set up"),
            stop: AtomicBool::new(false),
            log: Mutex::default(),
            held: Mutex::default(),
            plan,
        });
        let clients = (0..shared.plan.clients)
            .map(|n| tokio::spawn(visitor::visit(shared.clone(), n, dice.split())))
            .collect();
        Self { shared, clients }
    }

    /// How many answers of this kind and status were given to requests sent since then.
    #[must_use]
    pub(crate) fn answers(&self, call: Call, status: u16, since_ms: u64) -> usize {
        self.shared.log().answers(call, status, since_ms)
    }

    /// Whether an answer with this code was given to a request sent since then.
    #[must_use]
    pub(crate) fn was_told(&self, code: &str, since_ms: u64) -> bool {
        self.last_told(code).is_some_and(|sent_ms| sent_ms >= since_ms)
    }

    /// When the last request was sent that was answered with this code.
    #[must_use]
    pub(crate) fn last_told(&self, code: &str) -> Option<u64> {
        let log = self.shared.log();
        log.entries.iter().filter(|entry| entry.code == code).map(|entry| entry.sent_ms).max()
    }

    /// Ends it, once every request is answered.
    ///
    /// # Panics
    /// When an answer was not what the contract allows.
    pub(crate) async fn end(self) -> Log {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("answers keep the contract");
        }
        self.shared.log().clone()
    }
}

impl Shared {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<(String, Session)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A running guestpass to test, whatever it runs on: where it listens, and the simulator behind it.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::LazyLock;

use genesys_sim::{Sim, SimConfig};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::http_client::{Reply, Request};

/// The operator's token, unless a test sets another.
pub const OPERATOR: &str = "operator-token-0123456789";

/// Variables of the configuration, by name. An empty value unsets one that the launcher sets.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// What every host in front of the simulator at this URL has, unless a test sets something else.
#[must_use]
pub const fn before(sim: &str) -> [(&str, &str); 9] {
    [
        ("GENESYS_REGION", "mypurecloud.com"),
        ("GENESYS_CLIENT_ID", "sim-client"),
        ("GENESYS_CLIENT_SECRET", "sim-secret"),
        ("GENESYS_LOGIN_URL", sim),
        ("GENESYS_API_URL", sim),
        ("OPERATOR_TOKEN", OPERATOR),
        ("RETRY_BASE_DELAY_MS", "10"),
        ("RETRY_JITTER_MS", "5"),
        ("LOG_LEVEL", "debug"),
    ]
}

/// A guestpass that runs until it is dropped.
pub struct Host {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its Genesys.
    pub sim: Sim,
    /// What keeps it running.
    _running: Box<dyn Any + Send + Sync>,
}

impl Host {
    /// A host that runs as long as `running` is not dropped.
    pub fn new(addr: SocketAddr, sim: Sim, running: impl Any + Send + Sync) -> Self {
        Self { addr, sim, _running: Box::new(running) }
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> Reply {
        request.send(self.addr).await
    }

    /// Sends a request without a body or headers.
    pub async fn get(&self, target: &str) -> Reply {
        Request::new("GET", target).send(self.addr).await
    }

    /// Sends an operator's request without a body.
    pub async fn operate(&self, method: &str, target: &str) -> Reply {
        Request::new(method, target).bearer(OPERATOR).send(self.addr).await
    }

    /// Asks for a session with an empty body.
    pub async fn issue(&self, fingerprint: &str) -> Reply {
        issue(fingerprint).send(self.addr).await
    }
}

/// A request for a session with an empty body.
#[must_use]
pub fn issue(fingerprint: &str) -> Request {
    Request::new("POST", &sessions(fingerprint))
}

/// The path of a device's sessions.
#[must_use]
pub fn sessions(fingerprint: &str) -> String {
    format!("/v1/devices/{fingerprint}/sessions")
}

/// Starts hosts of one kind: the origin over some store, or the edge.
pub trait Launch: Sync {
    /// Starts one in front of this simulator and waits until it answers.
    fn start_before(&self, sim: Sim, settings: Settings<'_>) -> impl Future<Output = Host>;

    /// Starts one in front of a simulator of its own.
    fn start(&self, settings: Settings<'_>) -> impl Future<Output = Host> {
        async move { self.start_before(start_sim(SimConfig::default()).await, settings).await }
    }
}

/// A simulator on a free port.
///
/// # Panics
/// When it does not start.
pub async fn start_sim(config: SimConfig) -> Sim {
    Sim::start(config, ([127, 0, 0, 1], 0).into()).await.expect("the simulator starts")
}

/// Runs a test on the runtime that all tests of this process share, so that hosts outlive single tests.
pub fn run<F: Future>(test: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::new().expect("a runtime can be made"));
    RUNTIME.block_on(test)
}

/// A host that several tests use: started by the first, kept to the end.
pub struct Shared {
    host: OnceCell<Host>,
    turn: Mutex<()>,
}

impl Shared {
    /// No host yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { host: OnceCell::const_new(), turn: Mutex::const_new(()) }
    }

    /// The host, for tests that do not mind each other.
    pub async fn get(&self, launch: &impl Launch, settings: Settings<'_>) -> &Host {
        self.host.get_or_init(|| launch.start(settings)).await
    }

    /// The host with its simulator as new, for one test at a time.
    pub async fn alone(
        &self,
        launch: &impl Launch,
        settings: Settings<'_>,
    ) -> (&Host, MutexGuard<'_, ()>) {
        let turn = self.turn.lock().await;
        let host = self.get(launch, settings).await;
        host.sim.clear_faults();
        host.sim.set_latency(0, 0, 0);
        (host, turn)
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

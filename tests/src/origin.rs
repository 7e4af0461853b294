//! The origin as a process: the `guestpass` binary, started with a clean environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use genesys_sim::{Sim, SimConfig};
use tokio::process::Command;

use crate::host::{Host, Launch, Settings, before, start_sim};
use crate::http_client::{Reply, Request};
use crate::process::Process;
use crate::real_time::eventually;
use crate::redis_server::{RedisServer, free_port};
use crate::wait::ms;

/// A running `guestpass serve`.
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    process: Process,
}

impl Origin {
    /// Starts one in front of this simulator and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(sim: &Sim, settings: Settings<'_>) -> Self {
        for _ in 0..5 {
            let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
            if let Some(origin) = Self::start_at(addr, sim, settings).await {
                return origin;
            }
        }
        panic!("no free port");
    }

    /// Starts one at an address; `None` when that is taken.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn start_at(addr: SocketAddr, sim: &Sim, settings: Settings<'_>) -> Option<Self> {
        let url = sim.url();
        let own = [("SWEEP_INTERVAL_MS", "500")];
        let mut origin = Self::spawn(addr, &[&before(&url)[..], &own, settings].concat());
        let is_up = eventually("guestpass answers", ms(20_000), async || {
            if origin.process.has_ended() {
                return Some(false);
            }
            let health = Request::new("GET", "/healthz").try_send(addr).await;
            health.is_ok_and(|reply| reply.status == 200).then_some(true)
        });
        if is_up.await {
            return Some(origin);
        }
        // Its last lines are on their way.
        let log = eventually("the log of a guestpass that ended", ms(2000), async || {
            Some(origin.log()).filter(|log| !log.is_empty())
        });
        let log = log.await.to_lowercase();
        assert!(log.contains("in use"), "guestpass ended: {log}");
        None
    }

    fn spawn(addr: SocketAddr, settings: Settings<'_>) -> Self {
        let mut command = guestpass("serve", settings);
        command.env("LISTEN_ADDR", addr.to_string());
        let (process, output) = Process::start(&mut command);
        process.keep(output);
        Self { addr, process }
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// All that it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> Reply {
        request.send(self.addr).await
    }

    /// Sends it a signal, by its name without SIG.
    ///
    /// # Panics
    /// When that is not possible.
    pub async fn signal(&self, name: &str) {
        self.process.signal(name).await;
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// Ends it as SIGKILL does.
    pub async fn kill(self) {
        self.process.kill().await;
    }
}

/// `guestpass` with this argument, in an environment of these variables alone.
#[must_use]
pub fn guestpass(argument: &str, settings: Settings<'_>) -> Command {
    let mut command = Command::new(&*BINARY);
    command.arg(argument).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(settings.iter().copied()).kill_on_drop(true);
    command
}

/// The binary: the one that `GUESTPASS_BIN` names, or else built once.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(path) = std::env::var_os("GUESTPASS_BIN") {
        return path.into();
    }
    let mut build = std::process::Command::new(env!("CARGO"));
    // What cargo tells this test of its own package would have it build some dependencies anew each time.
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_ours {
            build.env_remove(name);
        }
    }
    let build = build
        .args(["build", "--quiet", "--package", "guestpass-server", "--bin", "guestpass"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let messages = String::from_utf8_lossy(&build.stdout);
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.expect("cargo names the binary it has built")
});

/// The origin over its embedded store.
pub struct OnEmbedded;

impl Launch for OnEmbedded {
    async fn start_before(&self, sim: Sim, settings: Settings<'_>) -> Host {
        let origin = Origin::start(&sim, settings).await;
        Host::new(origin.addr, sim, origin)
    }
}

/// The origin over one real Redis that all hosts of this process share, each with a prefix of its own.
pub struct OnRedis;

static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

impl Launch for OnRedis {
    async fn start_before(&self, sim: Sim, settings: Settings<'_>) -> Host {
        let (url, prefix) = (REDIS.url(), unused_prefix());
        let redis = [("REDIS_URL", url.as_str()), ("REDIS_KEY_PREFIX", &prefix)];
        let origin = Origin::start(&sim, &[&redis[..], settings].concat()).await;
        Host::new(origin.addr, sim, origin)
    }
}

/// A key prefix that no other host has.
#[must_use]
pub fn unused_prefix() -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("test:{}:", USED.fetch_add(1, Ordering::Relaxed))
}

/// A simulator, and an origin in front of it.
pub async fn start_pair(settings: Settings<'_>) -> (Sim, Origin) {
    let sim = start_sim(SimConfig::default()).await;
    let origin = Origin::start(&sim, settings).await;
    (sim, origin)
}

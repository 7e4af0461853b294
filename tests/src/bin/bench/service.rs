//! What is measured, and what it runs against: processes, their CPU time and their memory.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use genesys_sim::{CallKind, Sim, SimConfig};
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::redis_server::{RedisServer, free_port};
use guestpass_tests::wait::pause;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(600);

/// A Redis and a Genesys of its own.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    sim: Sim,
    /// Revocations that are not to be made while anything is measured.
    pub(crate) parked: u64,
}

impl World {
    pub(crate) async fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sim = Sim::start(SimConfig::default(), any).await.expect("the simulator starts");
        Self { redis: RedisServer::start(), sim, parked: 0 }
    }

    /// A release `guestpass serve` on them, once it can be reached.
    pub(crate) async fn service(&self, settings: &[(&str, &str)]) -> Service {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(crate::binary());
        command.arg("serve").env_clear().kill_on_drop(true).stdout(Stdio::null());
        let url = self.redis.url();
        for (name, value) in [
            ("LISTEN_ADDR", addr.to_string().as_str()),
            ("REDIS_URL", &url),
            ("GENESYS_REGION", "mypurecloud.com"),
            ("GENESYS_LOGIN_URL", &self.sim.url()),
            ("GENESYS_API_URL", &self.sim.url()),
            ("GENESYS_CLIENT_ID", "sim-client"),
            ("GENESYS_CLIENT_SECRET", "sim-secret"),
        ]
        .iter()
        .chain(settings)
        {
            command.env(name, value);
        }
        let started = async {
            let child = command.spawn().expect("guestpass starts: build it, or set GUESTPASS_BIN");
            eventually("guestpass listens", PATIENCE, async || TcpStream::connect(addr).await.ok())
                .await;
            child
        };
        let (child, took) = timed(started).await;
        Service { addr, child, ready_ms: took.as_secs_f64() * 1000.0 }
    }

    /// Guests created, and guests revoked.
    pub(crate) fn genesys_calls(&self) -> (usize, usize) {
        (self.sim.count(CallKind::Create), self.sim.count(CallKind::Invalidate))
    }

    /// Waits until no revocation is owed.
    pub(crate) async fn drained(&self) {
        let owed = async || (self.owed() == 0).then_some(());
        eventually("revocations are worked off", PATIENCE, owed).await;
    }

    /// Revocations owed now, but for the parked ones.
    pub(crate) fn owed(&self) -> u64 {
        self.pending().saturating_sub(self.parked)
    }

    fn pending(&self) -> u64 {
        self.redis.query(&["ZCARD", "msg:guest::outbox"])
    }

    /// Puts all pending revocations off.
    pub(crate) fn park_revocations(&mut self, until_ms: u64) {
        let script = "for _, guest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            redis.call('ZADD', KEYS[1], ARGV[1], guest)
          end";
        let until = until_ms.to_string();
        self.redis.query::<()>(&["EVAL", script, "1", "msg:guest::outbox", &until]);
        self.parked = self.pending();
    }

    /// A number that Redis tells of itself, such as `used_memory`.
    pub(crate) fn redis_number(&self, section: &str, name: &str) -> f64 {
        let info: String = self.redis.query(&["INFO", section]);
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.and_then(|number| number.trim().parse().ok()).unwrap_or(0.0)
    }

    /// CPU time of Redis so far, in microseconds.
    pub(crate) fn redis_cpu_us(&self) -> f64 {
        let part = |name| self.redis_number("cpu", name) * 1e6;
        part("used_cpu_user") + part("used_cpu_sys")
    }

    /// Calls of scripts so far.
    pub(crate) fn round_trips(&self) -> u64 {
        self.calls("eval")
    }

    /// Waits until a service that has just started has looked through all keys once.
    pub(crate) async fn scanned(&self) {
        let mut before = 0;
        loop {
            pause(Duration::from_millis(200)).await;
            let now = self.calls("scan");
            if now > 0 && now == before {
                return;
            }
            before = now;
        }
    }

    /// Calls so far of the commands whose names begin so.
    fn calls(&self, command: &str) -> u64 {
        let info: String = self.redis.query(&["INFO", "commandstats"]);
        let calls = |line: &str| {
            let rest = line.strip_prefix("cmdstat_")?.strip_prefix(command)?;
            let (_, calls) = rest.split_once(":calls=")?;
            calls.split(',').next()?.parse::<u64>().ok()
        };
        info.lines().filter_map(calls).sum()
    }
}

/// A running `guestpass serve`.
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    pub(crate) ready_ms: f64,
    child: Child,
}

impl Service {
    /// CPU time so far, in microseconds. The kernel counts it in hundredths of a second.
    pub(crate) fn cpu_us(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
        (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) * 10_000.0
    }

    /// `VmRSS` or `VmHWM` (the most so far), in kilobytes.
    pub(crate) fn memory_kb(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
    }

    fn proc(&self, file: &str) -> String {
        let pid = self.child.id().unwrap_or(0);
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.expect("it can be ended");
    }
}

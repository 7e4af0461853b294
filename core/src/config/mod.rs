//! The configuration: one parser for every host. It reads variables by name through a function, reports
//! every mistake at once, and never repeats a value.

mod read;
mod region;
mod rest_door;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use read::Reader;

use crate::http::access::Access;
use crate::secret::Secret;
use crate::service::retry::RetryPolicy;
use crate::store::ops::Limits;

/// What is to be configured: the same variables mean the same everywhere, but not every host needs all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// The native server.
    Origin,
    /// The native server with the simulator as Genesys: no credentials needed.
    Dev,
    /// The Worker.
    Edge,
}

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it and what it should be; never its value.
    pub problem: String,
}

/// All mistakes of a configuration, in the order of the documentation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    fn lines(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(|m| format!("{}: {}", m.name, m.problem)).collect();
        lines.join("\n")
    }
}

/// Everything that can be configured, parsed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Genesys: where it is and who we are there.
    pub genesys: Genesys,
    /// The session rules.
    pub limits: Limits,
    /// Retries of calls to Genesys.
    pub retry: RetryPolicy,
    /// Longest that a request may work on Genesys, in milliseconds.
    pub request_deadline_ms: u64,
    /// Attempts before a revocation is stuck.
    pub revoke_max_attempts: u32,
    /// Time between two sweeps at the origin, in milliseconds.
    pub sweep_interval_ms: u64,
    /// Where sessions are kept.
    pub store: StoreTarget,
    /// What every key begins with.
    pub key_prefix: String,
    /// Number of shards.
    pub shards: u32,
    /// Who may use Redis through the origin by the Upstash REST protocol, and for what.
    pub rest_door: Option<RestDoor>,
    /// Who may call.
    pub access: Access,
    /// Hash fingerprints before they are stored: the first for what is written, all for what is read.
    pub fingerprint_keys: Vec<Secret>,
    /// Seal tokens before they are stored: the first for what is written, all for what is read.
    pub token_sealing_keys: Vec<SealingKey>,
    /// Take the client's address from the last hop of `X-Forwarded-For`.
    pub trust_proxy: bool,
    /// Where the origin listens.
    pub listen_addr: SocketAddr,
    /// Subrequests that one invocation may make at the edge.
    pub subrequest_limit: u32,
    /// How the origin writes logs.
    pub log_format: LogFormat,
    /// The least level that is logged.
    pub log_level: tracing::Level,
    /// What is allowed but worth a second look; each is a sentence.
    pub warnings: Vec<String>,
}

/// Where Genesys is and who we are there.
#[derive(Debug, Clone)]
pub struct Genesys {
    /// `https://login.<domain>` or its override, without a trailing slash.
    pub login_url: String,
    /// `https://api.<domain>` or its override, without a trailing slash.
    pub api_url: String,
    /// Path of the guests API.
    pub guests_path: String,
    /// OAuth client id.
    pub client_id: Secret,
    /// OAuth client secret.
    pub client_secret: Secret,
    /// Scopes to ask for; empty asks for none in particular.
    pub scopes: String,
}

/// Where sessions are kept.
#[derive(Debug, Clone)]
pub enum StoreTarget {
    /// In this process.
    Embedded,
    /// In Redis, by its own protocol.
    Redis(RedisTarget),
    /// In Redis, by the Upstash REST protocol.
    Upstash {
        /// The base URL, without a trailing slash.
        url: String,
        /// The bearer token.
        token: Secret,
    },
}

/// A Redis by its own protocol. URLs may hold a password.
#[derive(Debug, Clone)]
pub enum RedisTarget {
    /// One server: `redis://` or `rediss://`.
    Single(Secret),
    /// Some nodes of a Cluster, each as a `redis://` URL.
    Cluster(Vec<Secret>),
}

/// Redis served over the Upstash REST protocol.
#[derive(Debug, Clone)]
pub struct RestDoor {
    /// The bearer token that opens it.
    pub token: Secret,
    /// What it is open for.
    pub commands: RestCommands,
}

/// The commands that the REST door runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestCommands {
    /// PING and guestpass's own scripts.
    Scripts,
    /// Every command that callers can share a connection for.
    All,
}

/// A key of 32 bytes. Debug shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey(pub [u8; 32]);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much longer than the request's deadline a place in flight lasts, in milliseconds.
const FLIGHT_GRACE_MS: u64 = 5000;

/// A year, the longest time that is accepted anywhere, in seconds.
const YEAR_SECONDS: u64 = 365 * 24 * 3600;

impl Config {
    /// Reads the configuration for a host. `variable` answers a variable's value; an empty one counts as
    /// unset. An error it answers (an unreadable secret file, say) is a mistake of that variable.
    ///
    /// # Errors
    /// [`Mistakes`] with every variable that is missing or wrong.
    pub fn parse(
        host: HostKind,
        variable: &dyn Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, Mistakes> {
        let mut r = Reader::new(variable);
        let genesys = r.genesys(host);
        let request_deadline_ms = r.number("REQUEST_DEADLINE_MS", 15_000_u64, 100..=600_000);
        let limits = Limits {
            cap: r.number("MAX_SESSIONS_PER_DEVICE", 3, 1..=1000),
            ttl_ms: r.number("SESSION_TTL_SECONDS", 3600, 1..=YEAR_SECONDS).saturating_mul(1000),
            max_age_ms: r
                .number("SESSION_MAX_AGE_SECONDS", 0, 0..=YEAR_SECONDS)
                .saturating_mul(1000),
            rate_per_device: r.number("RATE_LIMIT_PER_DEVICE", 0, 0..=1_000_000),
            rate_per_ip: r.number("RATE_LIMIT_PER_IP", 0, 0..=1_000_000),
            flight_ms: request_deadline_ms.saturating_add(FLIGHT_GRACE_MS),
            lease_ms: r.number("REVOKE_LEASE_MS", 30_000, 1000..=3_600_000),
        };
        let retry = RetryPolicy {
            max_attempts: r.number("RETRY_MAX_ATTEMPTS", 3, 1..=10),
            base_delay_ms: r.number("RETRY_BASE_DELAY_MS", 1000, 0..=60_000),
            jitter_ms: r.number("RETRY_JITTER_MS", 500, 0..=60_000),
        };
        let revoke_max_attempts = r.number("REVOKE_MAX_ATTEMPTS", 12, 1..=1000);
        let sweep_interval_ms = r.number("SWEEP_INTERVAL_MS", 5000, 50..=3_600_000);
        let store = r.store(host);
        let key_prefix = r.key_prefix();
        let shards = r.number("REDIS_SHARDS", 1, 1..=1024);
        if matches!(store, StoreTarget::Redis(RedisTarget::Cluster(_))) && shards < 2 {
            r.mistake("REDIS_SHARDS", "must be 2 or more with redis-cluster:// (a cluster needs shards so that one script's keys share a slot)");
        }
        let rest_door = r.rest_door(host, &store);
        let access = r.access();
        let fingerprint_keys = r.fingerprint_keys();
        let token_sealing_keys = r.sealing_keys();
        let trust_proxy = r.choice("TRUST_PROXY", &[("false", false), ("true", true)], false);
        let listen_addr = r.listen_addr();
        let subrequest_limit = match host {
            HostKind::Edge => r.number("SUBREQUEST_LIMIT", 50, 50..=10_000),
            HostKind::Origin | HostKind::Dev => 50,
        };
        let log_format = r.choice(
            "LOG_FORMAT",
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            LogFormat::Text,
        );
        let levels = [
            ("error", tracing::Level::ERROR),
            ("warn", tracing::Level::WARN),
            ("info", tracing::Level::INFO),
            ("debug", tracing::Level::DEBUG),
            ("trace", tracing::Level::TRACE),
        ];
        let log_level = r.choice("LOG_LEVEL", &levels, tracing::Level::INFO);
        if host != HostKind::Dev && access.operator_tokens.is_empty() {
            r.warn("OPERATOR_TOKEN is not set: operator calls answer 403");
        }
        if host == HostKind::Origin && matches!(store, StoreTarget::Embedded) {
            r.warn("REDIS_URL is not set: sessions and revocations are kept in memory and are lost with this process");
        }
        r.finish(Self {
            genesys,
            limits,
            retry,
            request_deadline_ms,
            revoke_max_attempts,
            sweep_interval_ms,
            store,
            key_prefix,
            shards,
            rest_door,
            access,
            fingerprint_keys,
            token_sealing_keys,
            trust_proxy,
            listen_addr,
            subrequest_limit,
            log_format,
            log_level,
            warnings: Vec::new(),
        })
    }
}

//! The command `dev`: the origin with the simulator as Genesys, and a welcome that shows what to try.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use genesys_sim::{Sim, SimConfig};
use guestpass_core::config::{Config, StoreTarget};
use guestpass_core::names::hex;
use guestpass_core::seams::Clock as _;
use guestpass_core::secret::Secret;
use tokio::net::TcpListener;

use crate::clock::SystemClock;
use crate::serve::{refused, until_stopped};
use crate::{env, logging, server};

/// The variables that say where Genesys is and who we are there: the simulator stands in for all of them.
const REPLACED: [&str; 5] = [
    "GENESYS_REGION",
    "GENESYS_LOGIN_URL",
    "GENESYS_API_URL",
    "GENESYS_CLIENT_ID",
    "GENESYS_CLIENT_SECRET",
];

/// A variable as `dev` sees it.
///
/// # Errors
/// As [`env::variable`].
pub fn variable(name: &str) -> Result<Option<String>, String> {
    if REPLACED.contains(&name) { Ok(None) } else { env::variable(name) }
}

/// The command.
pub async fn command(mut config: Config) -> ExitCode {
    let sim_config =
        SimConfig { guests_path: config.genesys.guests_path.clone(), ..SimConfig::default() };
    config.genesys.client_id = Secret::new(sim_config.client_id.clone());
    config.genesys.client_secret = Secret::new(sim_config.client_secret.clone());
    let sim = match Sim::start(sim_config, (Ipv4Addr::LOCALHOST, 0).into()).await {
        Ok(sim) => sim,
        Err(error) => return refused((Ipv4Addr::LOCALHOST, 0).into(), &error),
    };
    config.genesys.login_url = sim.url();
    config.genesys.api_url = sim.url();
    let made_token = config.access.operator_tokens.is_empty().then(|| hex(&SystemClock.random()));
    config.access.operator_tokens.extend(made_token.as_ref().map(Secret::new));

    let listener = match listen(config.listen_addr) {
        Ok(listener) => listener,
        Err(error) => return refused(config.listen_addr, &error),
    };
    until_stopped(&config, listener, |address| {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        // Lines that were logged before come first.
        logging::flush();
        println!("{}", welcome(&config, address, &sim.url(), made_token.as_deref()));
    })
    .await
}

/// Listens where it was asked to, or on any free port when the default one is taken.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match server::listen(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_default_address() => {
            println!(
                "{address} is taken; choosing a free port (set LISTEN_ADDR to choose another)"
            );
            server::listen((address.ip(), 0).into())
        }
        other => other,
    }
}

fn is_default_address() -> bool {
    env::variable("LISTEN_ADDR")
        .is_ok_and(|value| value.is_none_or(|value| value.trim().is_empty()))
}

fn welcome(config: &Config, address: SocketAddr, sim: &str, made_token: Option<&str>) -> String {
    let url = format!("http://{}", reachable(address));
    let store = match config.store {
        StoreTarget::Embedded => "in memory, gone when this stops (set REDIS_URL to use Redis)",
        StoreTarget::Redis(_) => "in Redis, at REDIS_URL",
        StoreTarget::Upstash { .. } => "in Redis, at UPSTASH_REDIS_REST_URL",
    };
    // A shell takes the first of a list.
    let key = if config.access.issue_keys.is_empty() {
        ""
    } else {
        r#" -H "Authorization: Bearer ${ISSUE_KEYS%%,*}""#
    };
    let token = made_token.unwrap_or("${OPERATOR_TOKEN%%,*}");
    let cap = config.limits.cap;
    let one_more = u64::from(cap) + 1;
    let device = "v1/devices/device-fp-8f3a2c1d/sessions";
    format!(
        r#"
guestpass {version} runs at {url}, for development only
  Genesys   a simulator, at {sim}
  sessions  {store}; {cap} for each device

Issue a guest token; number {one_more} evicts the oldest, which is then revoked at Genesys:
  curl -X POST{key} {url}/{device}

See what Genesys saw:
  curl {sim}/sim/ledger

As the operator, list the device's sessions, or see the counters:
  curl -H "Authorization: Bearer {token}" {url}/{device}
  curl -H "Authorization: Bearer {token}" {url}/v1/stats

Ctrl-C stops it.
"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// An address under which this machine reaches itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_shown_as_one_that_can_be_called() {
        let shown = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(shown("[::]:80"), "[::1]:80");
        assert_eq!(shown("10.1.2.3:80"), "10.1.2.3:80");
    }

    #[test]
    fn where_genesys_is_comes_from_the_simulator_alone() {
        for name in REPLACED {
            assert_eq!(variable(name), Ok(None));
        }
    }
}

//! The origin put together from a configuration: client, provider, store, sweeper and server.

use std::fmt::Display;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use guestpass_core::config::{Config, StoreTarget};
use guestpass_core::genesys::GuestsApi;
use guestpass_core::instruments::Instruments;
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::service::App;
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::http_client::HttpClient;
use crate::kv::RedisKv;
use crate::origin::Origin;
use crate::rest_door::RestDoor;
use crate::server::{self, Leftover, WIND_DOWN_LIMIT};
use crate::signals::Signals;
use crate::{adoption, process_metrics, sweeper};

type Provider = GuestsApi<HttpClient, SystemClock>;

/// The provider of guests that a configuration describes.
///
/// # Errors
/// When its HTTP client cannot be built.
pub fn provider(config: &Config) -> Result<Provider, String> {
    let client = HttpClient::new().map_err(|error| format!("cannot set up TLS: {error}"))?;
    Ok(GuestsApi::new(client, SystemClock, &config.genesys))
}

/// The store behind a REST service.
///
/// # Errors
/// When its HTTP client cannot be built, or the token cannot be sent.
pub fn upstash_store(
    config: &Config,
    url: &str,
    token: &Secret,
) -> Result<RedisStore<UpstashKv<HttpClient, SystemClock>>, String> {
    let client = HttpClient::new().map_err(|error| format!("cannot set up TLS: {error}"))?;
    let kv = UpstashKv::new(client, SystemClock, url.to_owned(), token)?;
    Ok(RedisStore::new(kv, Keys::new(&config.key_prefix, config.shards)))
}

/// Runs the origin on a listener until `stop` comes, and winds it down. `ready` is called once requests are
/// accepted. Whether Redis or Genesys can be reached does not matter for starting.
///
/// # Errors
/// What makes the configuration unusable on this machine.
pub async fn run(
    config: &Config,
    listener: TcpListener,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<Leftover, String> {
    let provider = provider(config)?;
    match &config.store {
        StoreTarget::Embedded => {
            let origin = origin(config, EmbeddedStore::new(), provider, None);
            ready();
            Ok(server::run(origin, listener, stop).await)
        }
        StoreTarget::Redis(target) => {
            let kv = RedisKv::new(target).map_err(|error| format!("REDIS_URL: {error}"))?;
            let store = RedisStore::new(kv.clone(), Keys::new(&config.key_prefix, config.shards));
            let door = config.rest_door.as_ref().map(|door| RestDoor::new(target, door));
            let door = door.transpose().map_err(|error| format!("REDIS_URL: {error}"))?;
            let origin = origin(config, store, provider, door);
            adoption::spawn(&origin, kv);
            ready();
            Ok(server::run(origin, listener, stop).await)
        }
        StoreTarget::Upstash { url, token } => {
            let store = upstash_store(config, url, token)?;
            let origin = origin(config, store, provider, None);
            ready();
            Ok(server::run(origin, listener, stop).await)
        }
    }
}

/// The rules over a store, being swept.
fn origin<S: SessionStore>(
    config: &Config,
    store: S,
    provider: Provider,
    door: Option<RestDoor>,
) -> Arc<Origin<S, Provider>> {
    let app =
        App::new(store, provider, SystemClock, config, Instruments::on(process_metrics::write));
    let origin = Arc::new(Origin::new(app, config.trust_proxy).with_door(door));
    sweeper::spawn(&origin, Duration::from_millis(config.sweep_interval_ms));
    origin
}

/// The command `serve`.
pub async fn command(config: Config) -> ExitCode {
    let listener = match server::listen(config.listen_addr) {
        Ok(listener) => listener,
        Err(error) => return refused(config.listen_addr, &error),
    };
    until_stopped(&config, listener, |address| {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let store = match config.store {
            StoreTarget::Embedded => "embedded",
            StoreTarget::Redis(_) => "redis",
            StoreTarget::Upstash { .. } => "upstash",
        };
        tracing::info!(version = env!("CARGO_PKG_VERSION"), store, "listening on http://{address}");
    })
    .await
}

/// Says that an address cannot be listened on, and what to do.
pub(crate) fn refused(address: SocketAddr, error: &std::io::Error) -> ExitCode {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another process listens there; stop it or set LISTEN_ADDR"
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address; set LISTEN_ADDR",
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; set LISTEN_ADDR"
        }
        _ => "set LISTEN_ADDR",
    };
    failed(format_args!("cannot listen on {address}: {error} ({remedy})"))
}

fn failed(why: impl Display) -> ExitCode {
    eprintln!("guestpass: {why}");
    ExitCode::FAILURE
}

/// Runs the origin until a signal comes. `ready` is told where it listens.
pub(crate) async fn until_stopped(
    config: &Config,
    listener: TcpListener,
    ready: impl FnOnce(SocketAddr),
) -> ExitCode {
    let (mut signals, address) = match (Signals::new(), listener.local_addr()) {
        (Ok(signals), Ok(address)) => (signals, address),
        (Err(error), _) => return failed(format_args!("cannot catch signals: {error}")),
        (_, Err(error)) => return failed(format_args!("cannot listen: {error}")),
    };
    let stop = CancellationToken::new();
    let asked_twice = async {
        signals.next().await;
        tracing::info!("stopping: finishing what is under way");
        stop.cancel();
        signals.next().await;
    };
    let ended = tokio::select! {
        ended = run(config, listener, || ready(address), stop.cancelled()) => ended,
        () = asked_twice => {
            tracing::warn!("stopped at once; what was under way is left to leases and deadlines");
            return ExitCode::FAILURE;
        }
    };
    match ended {
        Ok(left) if left.is_none() => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Ok(left) => {
            tracing::error!(
                requests = left.requests,
                rescues = left.rescues,
                sweeping = left.sweeping,
                connections = left.connections,
                "stopped after {} s with work left undone",
                WIND_DOWN_LIMIT.as_secs()
            );
            ExitCode::FAILURE
        }
        Err(why) => failed(why),
    }
}

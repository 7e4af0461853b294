//! What an isolate keeps from one invocation to the next: the configuration, the rules, the HTTP client and
//! with it the access token.

use std::cell::OnceCell;
use std::rc::Rc;

use guestpass_core::config::{Config, HostKind, Mistake, Mistakes, StoreTarget};
use guestpass_core::genesys::GuestsApi;
use guestpass_core::instruments::Instruments;
use guestpass_core::service::{App, SweepBounds};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use worker::Env;

use crate::clock::EdgeClock;
use crate::{bounds, console};

type Store = RedisStore<UpstashKv<reqwest::Client, EdgeClock>>;
type Provider = GuestsApi<reqwest::Client, EdgeClock>;

/// The rules, and how much of them one invocation may run.
pub(crate) struct Host {
    pub(crate) app: App<Store, Provider, EdgeClock>,
    /// Bounds of a cron invocation.
    pub(crate) sweep: SweepBounds,
    /// Bounds of the work after an answer.
    pub(crate) drain: SweepBounds,
}

thread_local! {
    static HOST: OnceCell<Rc<Host>> = const { OnceCell::new() };
}

/// The host of this isolate. A wrong configuration is read anew each time.
pub(crate) fn of(env: &Env) -> Result<Rc<Host>, Mistakes> {
    if let Some(host) = HOST.with(|kept| kept.get().cloned()) {
        return Ok(host);
    }
    let built = build(env);
    if let Err(mistakes) = &built {
        console::install(tracing::Level::INFO);
        for mistake in &mistakes.0 {
            tracing::error!(variable = mistake.name, problem = mistake.problem, "misconfigured");
        }
    }
    let host = Rc::new(built?);
    Ok(HOST.with(|kept| kept.get_or_init(|| host).clone()))
}

fn build(env: &Env) -> Result<Host, Mistakes> {
    let config = Config::parse(HostKind::Edge, &|name| variable(env, name))?;
    console::install(config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mistake = |name, problem| Mistakes(vec![Mistake { name, problem }]);
    let StoreTarget::Upstash { url, token } = &config.store else {
        return Err(mistake("UPSTASH_REDIS_REST_URL", "is required at the edge".to_owned()));
    };
    let client = reqwest::Client::builder()
        .build()
        .map_err(|error| mistake("GENESYS_API_URL", format!("no HTTP client: {error}")))?;
    let kv = UpstashKv::new(client.clone(), EdgeClock, url.clone(), token)
        .map_err(|problem| mistake("UPSTASH_REDIS_REST_TOKEN", problem))?;
    let store = RedisStore::new(kv, Keys::new(&config.key_prefix, config.shards));
    let provider = GuestsApi::new(client, EdgeClock, &config.genesys);
    let sweep = bounds::of_sweep(config.subrequest_limit, config.shards);
    let app = App::new(store, provider, EdgeClock, &config, Instruments::off())
        .with_sweep_on_demand(SweepBounds { time_ms: config.request_deadline_ms, ..sweep });
    let app = if config.token_sealing_keys.is_empty() { app } else { app.with_shared_token() };
    let drain = bounds::of_drain(config.subrequest_limit, config.shards);
    Ok(Host { app, sweep, drain })
}

/// A variable or a secret: both are properties of the environment. In `[vars]`, TOML also knows numbers and
/// truth values.
fn variable(env: &Env, name: &str) -> Result<Option<String>, String> {
    let value = js_sys::Reflect::get(env, &name.into())
        .map_err(|_| "cannot be read from the environment".to_owned())?;
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let text = value
        .as_string()
        .or_else(|| value.as_f64().map(|number| number.to_string()))
        .or_else(|| value.as_bool().map(|truth| truth.to_string()));
    text.map(Some).ok_or_else(|| "must be text, a number, true or false".to_owned())
}

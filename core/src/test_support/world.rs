//! A whole guestpass over virtual time: one clock, one store, one Genesys, any number of hosts.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;

use super::{FaultyStore, ManualClock, ScriptedHttp};
use crate::config::{Config, HostKind};
use crate::genesys::GuestsApi;
use crate::instruments::Instruments;
use crate::names::{DeviceKey, Fingerprint};
use crate::seams::{Clock as _, SessionStore as _};
use crate::service::{After, App, SweepBounds, SweepReport};
use crate::store::embedded::EmbeddedStore;
use crate::store::ops::{At, Counter, Revocation, RevocationState, SessionInfo, Stats};

pub(crate) type Store = FaultyStore<EmbeddedStore>;
pub(crate) type Host = App<Store, GuestsApi<ScriptedHttp, ManualClock>, ManualClock>;

pub(crate) const FINGERPRINT: &str = "fingerprint-4711";

const DEFAULTS: [(&str, &str); 6] = [
    ("GENESYS_REGION", "mypurecloud.de"),
    ("GENESYS_CLIENT_ID", "client-id"),
    ("GENESYS_CLIENT_SECRET", "client-secret"),
    ("OPERATOR_TOKEN", "operator-token"),
    ("MAX_SESSIONS_PER_DEVICE", "2"),
    ("SESSION_TTL_SECONDS", "3600"),
];

/// A configuration with some variables set otherwise.
pub(crate) fn config_of(variables: &[(&str, &str)]) -> Config {
    let mut all: BTreeMap<_, _> = DEFAULTS.into_iter().collect();
    all.extend(variables.iter().copied());
    let variable = |name: &str| Ok(all.get(name).map(|value| (*value).to_owned()));
    Config::parse(HostKind::Origin, &variable).unwrap()
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) genesys: ScriptedHttp,
    pub(crate) store: Store,
    config: Config,
}

impl World {
    /// Everything takes no time.
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        Self::with_latency(variables, 0)
    }

    /// Every call to the store takes twice `latency_ms`, every call to Genesys `latency_ms`.
    pub(crate) fn with_latency(variables: &[(&str, &str)], latency_ms: u64) -> Self {
        Self::seeded(variables, latency_ms, 1)
    }

    /// The same with other random numbers.
    pub(crate) fn seeded(variables: &[(&str, &str)], latency_ms: u64, seed: u64) -> Self {
        super::log::listen();
        let clock = ManualClock::new(seed);
        Self {
            genesys: ScriptedHttp::new(&clock, latency_ms),
            store: FaultyStore::new(EmbeddedStore::new(), &clock, latency_ms),
            config: config_of(variables),
            clock,
        }
    }

    /// Another process on the same store and Genesys.
    pub(crate) fn host(&self) -> Host {
        let provider =
            GuestsApi::new(self.genesys.clone(), self.clock.clone(), &self.config.genesys);
        let instruments = Instruments::on(|_| {});
        App::new(self.store.clone(), provider, self.clock.clone(), &self.config, instruments)
    }

    /// What the store says, whatever is spoiled.
    pub(crate) fn look(&self) -> Look {
        self.clock.run(self.look_async())
    }

    pub(crate) async fn look_async(&self) -> Look {
        let at = At { now: self.clock.now(), limits: &self.config.limits };
        let device = DeviceKey::of(&Fingerprint::parse(FINGERPRINT).unwrap(), &[]);
        let store = &self.store.inner;
        Look {
            sessions: store.list(at, &device).await.unwrap(),
            pending: store.revocations(at, RevocationState::Pending, 10_000).await.unwrap(),
            stuck: store.revocations(at, RevocationState::Stuck, 10_000).await.unwrap(),
            stats: store.stats(at).await.unwrap(),
            cool_until: store.cool_down(at, None).await.unwrap().get(),
        }
    }
}

/// A store's whole state.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) sessions: Vec<SessionInfo>,
    pub(crate) pending: Vec<Revocation>,
    pub(crate) stuck: Vec<Revocation>,
    pub(crate) stats: Stats,
    pub(crate) cool_until: u64,
}

impl Look {
    pub(crate) fn guests(&self) -> Vec<&str> {
        self.sessions.iter().map(|session| session.guest.as_str()).collect()
    }

    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.stats.counter(counter)
    }
}

/// A request by an operator.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Request<Bytes> {
    Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("authorization", "Bearer operator-token")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

pub(crate) fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

pub(crate) const BOUNDS: SweepBounds =
    SweepBounds { devices: 100, revocations: 100, concurrency: 4, time_ms: 10_000 };

impl World {
    /// A host answers and does what is left to do.
    pub(crate) fn ask(&self, host: &Host, request: Request<Bytes>) -> Response<Bytes> {
        let (response, after) = self.ask_only(host, request);
        self.clock.run(host.finish(after, None));
        response
    }

    /// A host answers; what is left to do is handed on.
    pub(crate) fn ask_only(
        &self,
        host: &Host,
        request: Request<Bytes>,
    ) -> (Response<Bytes>, After) {
        let answer = self.clock.run(host.handle(request, None));
        (answer.response, answer.after)
    }

    /// A host issues a session; its status.
    pub(crate) fn issue(&self, host: &Host) -> u16 {
        self.ask(host, issue()).status().as_u16()
    }

    pub(crate) fn sweep(&self, host: &Host) -> SweepReport {
        self.clock.run(host.sweep(&BOUNDS)).unwrap()
    }
}

/// A request for a session of the one device.
pub(crate) fn issue() -> Request<Bytes> {
    request("POST", &format!("/v1/devices/{FINGERPRINT}/sessions"), "")
}

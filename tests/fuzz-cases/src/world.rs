//! A guestpass in memory: time that passes as it is waited for, and peers that answer what a target says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use guestpass_core::config::{Config, HostKind};
use guestpass_core::genesys::GuestsApi;
use guestpass_core::instruments::Instruments;
use guestpass_core::seams::{Clock, HttpFault, HttpSend, Kv, Reply, SessionStore, StoreFault};
use guestpass_core::service::App;
use guestpass_core::store::script::Script;
use guestpass_core::time::UnixMillis;
use http::{Request, Response};

/// Time that passes at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct FastClock {
    passed: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

const BEGIN: u64 = 1_750_000_020_000;

impl Clock for FastClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(BEGIN + self.passed.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.passed.fetch_add(millis.min(1 << 40), Ordering::Relaxed);
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.drawn.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes()
    }
}

/// Runs a future that waits for nothing but this clock.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("waits for what never comes");
}

/// Answers each request with what comes next, and honestly as Genesys when nothing is left.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    answers: Arc<Mutex<Vec<Response<Bytes>>>>,
    made: Arc<AtomicU64>,
}

impl Peer {
    /// A peer that gives these answers, in this order.
    pub(crate) fn answering(mut answers: Vec<Response<Bytes>>) -> Self {
        answers.reverse();
        Self { answers: Arc::new(Mutex::new(answers)), made: Arc::default() }
    }

    fn honest(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let body = if path == "/oauth/token" {
            r#"{"access_token":"access-token-s3cr3t","token_type":"bearer","expires_in":86400}"#
                .to_owned()
        } else if path.ends_with("/guests") {
            let n = self.made.fetch_add(1, Ordering::Relaxed) + 1;
            format!(r#"{{"id":"guest-{n}","guestToken":"token-of-guest-{n}"}}"#)
        } else {
            String::new()
        };
        Response::new(Bytes::from(body))
    }
}

impl HttpSend for Peer {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(next.unwrap_or_else(|| self.honest(&request)))
    }
}

/// A Redis that answers each script with what comes next, and with nothing when nothing is left.
pub(crate) struct Answers(Mutex<Vec<Reply>>);

impl Answers {
    pub(crate) fn new(mut answers: Vec<Reply>) -> Self {
        answers.reverse();
        Self(Mutex::new(answers))
    }
}

impl Kv for Answers {
    async fn run(
        &self,
        _script: &'static Script,
        _keys: &[String],
        _args: &[Bytes],
    ) -> Result<Reply, StoreFault> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or(Reply::Nil))
    }
}

/// The configuration of every world.
pub(crate) fn config() -> Config {
    let variables = [
        ("GENESYS_REGION", "mypurecloud.com"),
        ("GENESYS_CLIENT_ID", "client-id"),
        ("GENESYS_CLIENT_SECRET", "client-secret-s3cr3t"),
        ("OPERATOR_TOKEN", "operator-token-s3cr3t"),
        ("ALLOWED_ORIGINS", "https://a.example"),
        ("RATE_LIMIT_PER_IP", "5"),
        ("TOKEN_SEALING_KEY", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="),
    ];
    let variable = |name: &str| {
        Ok(variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    Config::parse(HostKind::Origin, &variable).expect("a configuration")
}

/// guestpass over a store and a Genesys that answers through this peer.
pub(crate) fn app<S: SessionStore>(
    store: S,
    peer: &Peer,
    clock: &FastClock,
) -> App<S, GuestsApi<Peer, FastClock>, FastClock> {
    let config = config();
    let provider = GuestsApi::new(peer.clone(), clock.clone(), &config.genesys);
    App::new(store, provider, clock.clone(), &config, Instruments::off())
}

//! What the rules cost without any network: whole requests through the router, the embedded store, sealing, and
//! reading a store's reply. `cargo bench -p guestpass-core` runs it.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use futures_util::FutureExt as _;
use guestpass_core::config::{Config, HostKind};
use guestpass_core::instruments::Instruments;
use guestpass_core::names::{ClaimId, DeviceKey, FlightId, GuestId};
use guestpass_core::seams::{
    CallFault, Clock, Guest, GuestProvider, HttpFault, HttpSend, SessionStore as _,
};
use guestpass_core::secret::Secret;
use guestpass_core::service::App;
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::ops::{Admit, At, Commit, Limits, StoredToken};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use guestpass_core::time::UnixMillis;
use http::{Request, Response};

const NOW: UnixMillis = UnixMillis::new(1_750_000_020_000);

const LIMITS: Limits = Limits {
    cap: 3,
    ttl_ms: 3_600_000,
    max_age_ms: 0,
    rate_per_device: 0,
    rate_per_ip: 0,
    flight_ms: 20_000,
    lease_ms: 30_000,
};

static COUNT: AtomicU64 = AtomicU64::new(1);

fn number() -> u64 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Nothing here ever waits.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("it does not wait")
}

struct Still;

impl Clock for Still {
    fn now(&self) -> UnixMillis {
        NOW
    }
    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
    fn random(&self) -> [u8; 16] {
        u128::from(number()).to_be_bytes()
    }
}

/// Creates and revokes at once.
struct Instant;

impl GuestProvider for Instant {
    async fn prepare(&self, _: Duration) -> Result<bool, CallFault> {
        Ok(false)
    }
    async fn create(&self, _: Option<&str>, _: Duration) -> Result<Guest, CallFault> {
        Ok(Guest { id: guest(), token: token() })
    }
    async fn revoke(&self, _: &GuestId, _: Duration) -> Result<(), CallFault> {
        Ok(())
    }
}

fn guest() -> GuestId {
    GuestId::parse(&format!("{:036}", number())).expect("a guest id")
}

/// About as long as one of Genesys.
fn token() -> Secret {
    Secret::new("t".repeat(500))
}

type Rules = App<EmbeddedStore, Instant, Still>;

fn rules(variables: &[(&str, &str)]) -> Rules {
    let config = Config::parse(HostKind::Dev, &|name| {
        let value = variables.iter().find(|(known, _)| *known == name);
        Ok(value.map(|(_, value)| (*value).to_owned()))
    });
    let config = config.expect("a configuration");
    App::new(EmbeddedStore::new(), Instant, Still, &config, Instruments::on(|_| {}))
}

fn request(method: &str, path: &str) -> Request<Bytes> {
    let request =
        Request::builder().method(method).uri(path).header("origin", "https://shop.example");
    request.body(Bytes::new()).expect("a request")
}

fn handled(
    bench: &mut Criterion,
    name: &str,
    app: &Rules,
    method: &str,
    path: impl Fn() -> String,
    status: u16,
) {
    bench.bench_function(name, |bencher| {
        bencher.iter_batched(
            || request(method, &path()),
            |request| {
                let answer = now(app.handle(request, None));
                assert_eq!(answer.response.status().as_u16(), status);
                answer.response
            },
            BatchSize::SmallInput,
        );
    });
}

fn router(bench: &mut Criterion) {
    let app = rules(&[]);
    let fixed = |path: &str| {
        let path = path.to_owned();
        move || path.clone()
    };
    handled(
        bench,
        "a path that is no route",
        &app,
        "GET",
        fixed("/v1/devices/device-1/nothing"),
        404,
    );
    handled(bench, "health", &app, "GET", fixed("/healthz"), 200);
    let device = || format!("/v1/devices/device-{:08}/sessions", number() % 1000);
    handled(bench, "an issue that evicts, tokens plain", &app, "POST", device, 201);
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let sealing = rules(&[("TOKEN_SEALING_KEY", key)]);
    handled(bench, "an issue that evicts, tokens sealed", &sealing, "POST", device, 201);
}

fn store(bench: &mut Criterion) {
    for devices in [10_u64, 100_000] {
        let store = EmbeddedStore::new();
        let at = At { now: NOW, limits: &LIMITS };
        let issue = |n: u64| {
            let device = DeviceKey::from_stored(&format!("device-{n:08}")).expect("a device");
            let (flight, guest) =
                (FlightId::from_random(u128::from(number()).to_be_bytes()), guest());
            let token = StoredToken { text: token(), sha256: None };
            let admit =
                Admit { device: &device, flight: &flight, idempotency: None, address_hash: None };
            now(store.admit(at, &admit)).expect("it admits");
            let commit = Commit {
                device: &device,
                flight: &flight,
                guest: &guest,
                token: &token,
                idempotency: None,
            };
            now(store.commit(at, &commit)).expect("it commits")
        };
        for n in 0..devices {
            issue(n);
        }
        let next = Cell::new(0);
        bench.bench_function(
            &format!("embedded store: admit and commit, {devices} devices"),
            |bencher| {
                bencher.iter(|| {
                    next.set((next.get() + 1) % devices.min(1000));
                    black_box(issue(next.get()))
                });
            },
        );
    }
}

/// Answers everything with one body.
struct Canned(Bytes);

impl HttpSend for Canned {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        Ok(Response::new(self.0.clone()))
    }
}

/// Strings come in base64.
fn canned(parts: &[String]) -> Canned {
    let parts: Vec<_> = parts.iter().map(|part| format!("\"{}\"", STANDARD.encode(part))).collect();
    Canned(Bytes::from(format!(r#"{{"result":[{}]}}"#, parts.join(","))))
}

fn rest(http: Canned) -> RedisStore<UpstashKv<Canned, Still>> {
    let kv = UpstashKv::new(http, Still, "http://redis.example".to_owned(), &Secret::new("token"));
    RedisStore::new(kv.expect("a token that can be sent"), Keys::new("msg:guest:", 1))
}

fn replies(bench: &mut Criterion) {
    let at = At { now: NOW, limits: &LIMITS };
    let mut sessions = vec!["0".to_owned()];
    for _ in 0..3 {
        sessions.extend([guest().to_string(), NOW.get().to_string(), NOW.get().to_string()]);
    }
    let store = rest(canned(&sessions));
    let device = DeviceKey::from_stored("device-1234").expect("a device");
    bench.bench_function("a REST reply of 3 sessions", |bencher| {
        bencher.iter(|| now(store.list(at, &device)).expect("it can be read"));
    });
    let mut jobs = vec!["0".to_owned()];
    for _ in 0..100 {
        jobs.extend([guest().to_string(), "0".to_owned()]);
    }
    let store = rest(canned(&jobs));
    bench.bench_function("a REST reply of 100 claimed revocations", |bencher| {
        bencher.iter(|| {
            let claim = ClaimId::from_random(u128::from(number()).to_be_bytes());
            now(store.claim(at, &claim, 100)).expect("it can be read")
        });
    });
}

fn main() {
    let mut bench = Criterion::default().configure_from_args();
    router(&mut bench);
    store(&mut bench);
    replies(&mut bench);
    bench.final_summary();
}

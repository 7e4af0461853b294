//! The rules over the embedded store, as one request after another.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use guestpass_core::config::{Config, HostKind};
use guestpass_core::instruments::Instruments;
use guestpass_core::names::GuestId;
use guestpass_core::seams::{CallFault, Clock, Guest, GuestProvider};
use guestpass_core::secret::Secret;
use guestpass_core::service::{Answer, App, SweepBounds};
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::time::UnixMillis;
use http::{Method, Request};
use wasm_bindgen_test::wasm_bindgen_test;

/// Stands still unless it is moved.
#[derive(Clone)]
struct ManualClock {
    now: Rc<Cell<u64>>,
    dice: Rc<Cell<u8>>,
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.now.get())
    }

    async fn sleep(&self, _duration: Duration) {
        std::future::pending().await
    }

    fn random(&self) -> [u8; 16] {
        self.dice.set(self.dice.get().wrapping_add(1));
        [self.dice.get(); 16]
    }
}

/// Creates guest-1, guest-2 and so on, and counts what it revokes.
#[derive(Clone, Default)]
struct Numbers {
    created: Rc<Cell<u32>>,
    revoked: Rc<Cell<u32>>,
}

impl GuestProvider for Numbers {
    async fn prepare(&self, _budget: Duration) -> Result<bool, CallFault> {
        Ok(false)
    }

    async fn create(&self, _routing: Option<&str>, _budget: Duration) -> Result<Guest, CallFault> {
        self.created.set(self.created.get() + 1);
        let id = GuestId::parse(&format!("guest-{}", self.created.get())).unwrap();
        Ok(Guest { id, token: Secret::new("token".to_owned()) })
    }

    async fn revoke(&self, _guest: &GuestId, _budget: Duration) -> Result<(), CallFault> {
        self.revoked.set(self.revoked.get() + 1);
        Ok(())
    }
}

struct Stack {
    app: App<EmbeddedStore, Numbers, ManualClock>,
    clock: ManualClock,
    provider: Numbers,
}

const BOUNDS: SweepBounds =
    SweepBounds { devices: 100, revocations: 100, concurrency: 4, time_ms: 1000 };

fn stack() -> Stack {
    let config = Config::parse(HostKind::Dev, &|_| Ok(None)).unwrap();
    let clock = ManualClock { now: Rc::new(Cell::new(1_700_000_000_000)), dice: Rc::default() };
    let provider = Numbers::default();
    let app = App::new(
        EmbeddedStore::new(),
        provider.clone(),
        clock.clone(),
        &config,
        Instruments::off(),
    );
    Stack { app, clock, provider }
}

impl Stack {
    async fn issue(&self) -> (u16, String) {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "https://edge.example/v1/devices/device-one/sessions".parse().unwrap();
        let Answer { response, after } = self.app.handle(request, None).await;
        self.app.finish(after, Some(&BOUNDS)).await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }
}

#[wasm_bindgen_test]
async fn the_fourth_session_evicts_the_first_which_is_revoked() {
    let stack = stack();
    for n in 1..=4 {
        let (status, body) = stack.issue().await;
        assert_eq!(status, 201, "{body}");
        assert!(body.contains(&format!("guest-{n}")), "{body}");
        assert!(body.contains(if n == 4 { r#""evicted":1"# } else { r#""evicted":0"# }), "{body}");
    }
    assert_eq!(stack.provider.revoked.get(), 1);
}

#[wasm_bindgen_test]
async fn what_expires_is_revoked_by_a_sweep() {
    let stack = stack();
    stack.issue().await;
    stack.clock.now.set(stack.clock.now.get() + 3_600_001);
    let report = stack.app.sweep(&BOUNDS).await.unwrap();
    assert_eq!((report.expired, report.revoked), (1, 1));
}

#[wasm_bindgen_test]
fn every_mistake_of_a_configuration_is_reported() {
    let mistakes = Config::parse(HostKind::Edge, &|_| Ok(None)).unwrap_err().to_string();
    for name in ["GENESYS_REGION", "GENESYS_CLIENT_ID", "UPSTASH_REDIS_REST_URL"] {
        assert!(mistakes.contains(name), "{mistakes}");
    }
}

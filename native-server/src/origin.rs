//! The origin's shared state, and how one request is worked on: as a task of its own that a vanished client
//! does not cancel, bounded in number, with a panic kept to itself.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use guestpass_core::http::{MAX_BODY_BYTES, internal_error};
use guestpass_core::seams::{GuestProvider, SessionStore};
use guestpass_core::service::{Answer, App};
use http::{Request, Response, request::Parts};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
use crate::rest_door::RestDoor;
use crate::server::Leftover;

/// Requests that are worked on at once; further ones queue.
const MOST_REQUESTS: usize = 1024;

/// What tells a supervisor how we are must not queue behind calls to a slow Genesys.
const UNQUEUED: [&str; 2] = ["/healthz", "/readyz"];

/// The rules, and what is under way.
#[derive(Debug)]
pub struct Origin<S, P> {
    /// The rules.
    pub app: App<S, P, SystemClock>,
    door: Option<RestDoor>,
    trust_proxy: bool,
    permits: Arc<Semaphore>,
    requests: TaskTracker,
    rescues: TaskTracker,
    sweepers: TaskTracker,
    revocations_filed: Notify,
    stop: CancellationToken,
}

impl<S: SessionStore, P: GuestProvider> Origin<S, P> {
    /// An origin around the rules. With `trust_proxy`, `X-Forwarded-For` is believed.
    pub fn new(app: App<S, P, SystemClock>, trust_proxy: bool) -> Self {
        Self {
            app,
            door: None,
            trust_proxy,
            permits: Arc::new(Semaphore::new(MOST_REQUESTS)),
            requests: TaskTracker::new(),
            rescues: TaskTracker::new(),
            sweepers: TaskTracker::new(),
            revocations_filed: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) const fn trusts_proxy(&self) -> bool {
        self.trust_proxy
    }

    /// Opens a door to the origin's Redis, if there is one.
    #[must_use]
    pub fn with_door(self, door: Option<RestDoor>) -> Self {
        Self { door, ..self }
    }

    /// The door that a path leads to.
    fn door_at(&self, path: &str) -> Option<&RestDoor> {
        self.door.as_ref().filter(|_| RestDoor::is_at(path))
    }

    /// How many bytes of a request's body are worth reading: one more than are accepted.
    pub(crate) fn room(&self, head: &Parts) -> usize {
        self.door_at(head.uri.path()).map_or(MAX_BODY_BYTES + 1, |door| door.room(head))
    }

    /// Answers a request. Dropping the future abandons the answer; once begun, the work goes on.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Bytes>,
        client: IpAddr,
    ) -> Response<Bytes> {
        let permit = if UNQUEUED.contains(&request.uri().path()) {
            None
        } else {
            // The semaphore is never closed.
            self.permits.clone().acquire_owned().await.ok()
        };
        let (send, answer) = oneshot::channel();
        let origin = self.clone();
        // Futures of some kilobytes are in boxes: a task is moved several times.
        self.requests.spawn(async move {
            if let Some(door) = origin.door_at(request.uri().path()) {
                let response = Box::pin(door.answer(request)).await;
                drop(permit);
                let _ = send.send(response);
                return;
            }
            let answer = Box::pin(origin.app.handle(request, Some(client)));
            let Answer { response, after } = answer.await;
            drop(permit);
            // A client that went away takes no answer.
            let _ = send.send(response);
            if after.revocations_filed {
                origin.note_filed();
            }
            if after.rescue.is_some() {
                let rescuer = origin.clone();
                origin.rescues.spawn(async move { rescuer.app.finish(after, None).await });
            }
        });
        // Without an answer the task has panicked.
        answer.await.unwrap_or_else(|_| internal_error())
    }

    /// Runs a task that is waited for when winding down, and that must heed [`Self::stopped`].
    pub fn spawn_sweeper(&self, sweeper: impl Future<Output = ()> + Send + 'static) {
        self.sweepers.spawn(sweeper);
    }

    /// Revocations may have been filed.
    pub fn note_filed(&self) {
        self.revocations_filed.notify_one();
    }

    /// Waits until revocations were filed since the last time.
    pub async fn revocations_filed(&self) {
        self.revocations_filed.notified().await;
    }

    /// No more revocations are claimed and no more sweeps are begun from now on.
    pub fn stop(&self) {
        self.app.stop();
        self.stop.cancel();
        for tracker in [&self.requests, &self.rescues, &self.sweepers] {
            tracker.close();
        }
    }

    /// Waits until [`Self::stop`] was called.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Waits, after [`Self::stop`], until everything that was under way has ended.
    pub async fn settled(&self) {
        self.requests.wait().await;
        // Only requests begin rescues, so that none comes any more.
        self.rescues.wait().await;
        self.sweepers.wait().await;
    }

    /// What is under way now.
    pub fn leftover(&self) -> Leftover {
        Leftover {
            connections: 0,
            requests: self.requests.len(),
            rescues: self.rescues.len(),
            sweeping: !self.sweepers.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use guestpass_core::config::{Config, HostKind};
    use guestpass_core::instruments::Instruments;
    use guestpass_core::names::GuestId;
    use guestpass_core::seams::{CallFault, Clock as _, Guest};
    use guestpass_core::secret::Secret;
    use guestpass_core::store::embedded::EmbeddedStore;

    use super::*;
    use crate::clock::within;

    /// Creates one and the same guest, slowly; panics when told to by the routing.
    struct Slow;

    impl GuestProvider for Slow {
        async fn prepare(&self, _: Duration) -> Result<bool, CallFault> {
            Ok(false)
        }
        async fn create(&self, routing: Option<&str>, _: Duration) -> Result<Guest, CallFault> {
            assert!(routing.is_none(), "told to");
            SystemClock.sleep(Duration::from_millis(50)).await;
            let id = GuestId::parse("guest-1").expect("that is an id");
            Ok(Guest { id, token: Secret::new("token") })
        }
        async fn revoke(&self, _: &GuestId, _: Duration) -> Result<(), CallFault> {
            Ok(())
        }
    }

    fn origin() -> Arc<Origin<EmbeddedStore, Slow>> {
        let config = Config::parse(HostKind::Dev, &|name| {
            Ok((name == "OPERATOR_TOKEN").then(|| "operator".to_owned()))
        });
        let config = config.expect("that is a configuration");
        let app = App::new(EmbeddedStore::new(), Slow, SystemClock, &config, Instruments::off());
        Arc::new(Origin::new(app, false))
    }

    async fn send(
        origin: &Arc<Origin<EmbeddedStore, Slow>>,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> Response<Bytes> {
        let request =
            Request::builder().method(method).uri(path).header("authorization", "Bearer operator");
        let request = request.body(Bytes::from_static(body.as_bytes())).expect("that is a request");
        origin.answer(request, Ipv4Addr::LOCALHOST.into()).await
    }

    const SESSIONS: &str = "/v1/devices/device-1234/sessions";

    #[tokio::test]
    async fn a_panic_is_answered_and_harms_no_other_request() {
        let origin = origin();
        let broken = send(&origin, "POST", SESSIONS, r#"{"routing":{}}"#).await;
        assert_eq!(broken.status(), 500);
        let body: serde_json::Value = serde_json::from_slice(broken.body()).expect("JSON");
        assert_eq!(body["code"], "internal");
        assert_eq!(send(&origin, "POST", SESSIONS, "").await.status(), 201);
        origin.stop();
        origin.settled().await;
        assert!(origin.leftover().is_none());
        assert_eq!(origin.permits.available_permits(), MOST_REQUESTS);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_does_not_cancel_its_issue() {
        let origin = origin();
        let abandoned =
            within(Duration::from_millis(10), send(&origin, "POST", SESSIONS, "")).await;
        assert!(abandoned.is_none());
        assert_eq!(origin.leftover().requests, 1);
        origin.stop();
        origin.settled().await;
        let list = send(&origin, "GET", SESSIONS, "").await;
        assert!(String::from_utf8_lossy(list.body()).contains("guest-1"));
    }

    #[tokio::test]
    async fn health_does_not_queue_behind_other_requests() {
        let origin = origin();
        let all = u32::try_from(MOST_REQUESTS).expect("a small number");
        let _busy = origin.permits.acquire_many(all).await.expect("never closed");
        assert_eq!(send(&origin, "GET", "/healthz", "").await.status(), 200);
        let queued = within(Duration::from_millis(20), send(&origin, "POST", SESSIONS, "")).await;
        assert!(queued.is_none());
        assert_eq!(origin.leftover().requests, 0);
    }
}

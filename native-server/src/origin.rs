//! The origin's shared state, and how one request is worked on: as a task of its own that a vanished client
//! does not cancel, bounded in number, with a panic kept to itself.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use guestpass_core::http::internal_error;
use guestpass_core::seams::{GuestProvider, SessionStore};
use guestpass_core::service::{Answer, App};
use http::{Request, Response};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
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
        self.requests.spawn(async move {
            let Answer { response, after } = origin.app.handle(request, Some(client)).await;
            drop(permit);
            // A client that went away takes no answer.
            let _ = send.send(response);
            if after.revocations_filed {
                origin.revocations_filed.notify_one();
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

//! A host with a full device, on which a failed issue must leave no trace.

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{Host, Launch as _, Settings, issue};
use guestpass_tests::http_client::{Problem, Reply};
use guestpass_tests::http_suite::{Session, device, figure, guest_ids, listed};
use guestpass_tests::origin::OnEmbedded;

/// Short waits, and a deadline that a test can wait for.
pub(crate) const BRISK: Settings<'_> = &[
    ("MAX_SESSIONS_PER_DEVICE", "2"),
    ("RETRY_BASE_DELAY_MS", "10"),
    ("RETRY_JITTER_MS", "0"),
    ("REQUEST_DEADLINE_MS", "1500"),
];

/// A host and a device that has as many sessions as it may have.
pub(crate) struct Full {
    pub(crate) host: Host,
    device: String,
    sessions: Vec<String>,
}

impl Full {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: Settings<'_>) -> Self {
        let host = OnEmbedded.start(&[BRISK, settings].concat()).await;
        let device = device();
        let mut sessions = Vec::new();
        for _ in 0..2 {
            sessions.push(Session::issue(&host, &device).await.guest_id);
        }
        Self { host, device, sessions }
    }

    /// From now on Genesys has this fault.
    pub(crate) fn fault(&self, fault: Fault) {
        self.host.sim.fault(fault);
    }

    /// Asks for one more session, always with the same idempotency key.
    pub(crate) async fn issue(&self) -> Reply {
        issue(&self.device).header("Idempotency-Key", "a-key").send(self.host.addr).await
    }

    /// Asks for one more session, which must fail so, and cost the device nothing.
    pub(crate) async fn fails(&self, status: u16, code: &str) -> Problem {
        let problem = self.issue().await.problem(status, code);
        assert_eq!(problem.retry_after.is_some(), status == 503, "{problem:?}");
        assert_eq!(guest_ids(&listed(&self.host, &self.device).await), self.sessions);
        for id in &self.sessions {
            assert!(!self.host.sim.invalidated(id), "{id} was revoked");
        }
        problem
    }

    /// Asks for one more session, which must come and displace one.
    pub(crate) async fn succeeds(&self) -> Session {
        let reply = self.issue().await;
        assert_eq!(reply.header("idempotency-replayed"), None);
        let session = Session::of(&reply);
        assert_eq!(session.evicted, 1);
        let listed = guest_ids(&listed(&self.host, &self.device).await);
        assert_eq!(listed, [self.sessions[1].clone(), session.guest_id.clone()]);
        session
    }

    /// Genesys is well again: the key that failed is free and binds now.
    pub(crate) async fn recovers(&self) {
        self.host.sim.clear_faults();
        let session = self.succeeds().await;
        let again = self.issue().await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(Session::of(&again), session);
    }

    /// How many creates Genesys has seen since the device was full.
    pub(crate) fn creates(&self) -> usize {
        self.host.sim.count(CallKind::Create) - self.sessions.len()
    }

    /// How many access tokens were asked for since the device was full.
    pub(crate) fn tokens(&self) -> usize {
        self.host.sim.count(CallKind::Token) - 1
    }

    /// How many guests live at Genesys that nobody here has heard of.
    pub(crate) fn unknown(&self) -> usize {
        let live = self.host.sim.live_guests();
        live.iter().filter(|guest| !self.sessions.contains(&guest.id)).count()
    }

    /// How many creates are counted whose guest may live on unknown.
    pub(crate) async fn orphaned(&self) -> u64 {
        figure(&self.host, "counters", "orphaned").await
    }
}

/// An answer with this status and nothing else out of order.
pub(crate) fn status(code: u16) -> Effect {
    Effect::Status { code, retry_after: None, body: None }
}

/// An answer with this status and `Retry-After`.
pub(crate) fn rest(code: u16, retry_after: &str) -> Effect {
    Effect::Status { code, retry_after: Some(retry_after.to_owned()), body: None }
}

/// The next creates meet this.
pub(crate) fn creates(times: u32, effect: Effect) -> Fault {
    Fault::times(On::Create, times, effect)
}

//! The seams: everything the rules need from a host, as traits. A host implements `HttpSend`, `Kv`
//! and `Clock`; `SessionStore` and `GuestProvider` are implemented in this crate over those.
//!
//! Futures are `Send` natively and need not be on wasm32 ([`MaybeSend`]), so implementers write plain
//! `async fn`.

use std::time::Duration;

use bytes::Bytes;

use crate::names::{ClaimId, DeviceKey, GuestId};
use crate::secret::Secret;
use crate::store::ops::{
    Abort, Admission, Admit, At, Commit, Committed, Due, End, Ended, Expired, Job, Proof,
    Revocation, RevocationState, SessionInfo, Settled, Settlement, Stats,
};
use crate::store::script::Script;
use crate::time::UnixMillis;

/// `Send` natively; nothing on wasm32.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + ?Sized> MaybeSend for T {}
/// `Send` natively; nothing on wasm32.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSend for T {}

/// `Sync` natively; nothing on wasm32.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSync: Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Sync + ?Sized> MaybeSync for T {}
/// `Sync` natively; nothing on wasm32.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSync for T {}

/// Time, waiting and randomness. Nothing else reads a clock or makes random numbers.
pub trait Clock: MaybeSend + MaybeSync + 'static {
    /// Now.
    fn now(&self) -> UnixMillis;
    /// Waits for at least `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + MaybeSend;
    /// 16 unpredictable bytes (ids, nonces, jitter).
    fn random(&self) -> [u8; 16];
}

/// Sends one HTTP request and reads the whole answer.
pub trait HttpSend: MaybeSend + MaybeSync + 'static {
    /// Sends `request`. An implementation reads at most [`MAX_REPLY_BYTES`] of body. The deadline of the
    /// call is the caller's to keep: dropping the future abandons the call.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, HttpFault>> + MaybeSend;
}

/// The longest reply body that is read, in bytes.
pub const MAX_REPLY_BYTES: usize = 1 << 20;

/// An HTTP call that brought no whole answer. The detail never holds a URL, a token or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// The request was certainly never processed (no connection): it may be repeated.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The connection broke after the request may have gone out.
    #[error("connection broken: {0}")]
    Broken(String),
    /// The deadline passed; the request may have been processed.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Runs Redis scripts: EVALSHA first, EVAL when the server does not know the script.
pub trait Kv: MaybeSend + MaybeSync + 'static {
    /// Runs one script with its own deadline.
    fn run(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[Bytes],
    ) -> impl Future<Output = Result<Reply, StoreFault>> + MaybeSend;
}

/// What a script returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// No value.
    Nil,
    /// A number.
    Int(i64),
    /// A string; Redis strings are bytes.
    Bytes(Bytes),
    /// A list.
    Array(Vec<Reply>),
}

/// A store that did not do what it was asked. The detail never holds a key's or a member's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// The connection was lost while the call was under way; it may or may not have been done.
    #[error("connection to the store lost: {0}")]
    Lost(String),
    /// No connection, or no answer within the deadline; it may or may not have been done.
    #[error("store unreachable: {0}")]
    Unreachable(String),
    /// The store answered with an error: out of memory, read-only, wrong type, no permission.
    #[error("store refused: {0}")]
    Refused(String),
    /// The store's answer has a shape that the script cannot have returned.
    #[error("unreadable answer from the store: {0}")]
    Unreadable(String),
}

/// The sessions, creates in flight, revocations and counters of all devices.
///
/// Every operation is atomic for one device and idempotent by its flight id, claim id or guest id, so a
/// caller may repeat one whose answer was lost. All may fail with [`StoreFault`].
pub trait SessionStore: MaybeSend + MaybeSync + 'static {
    /// Asks leave to create a guest. Adopts a device found without an expiry.
    fn admit(
        &self,
        at: At<'_>,
        admit: &Admit<'_>,
    ) -> impl Future<Output = Result<Admission, StoreFault>> + MaybeSend;

    /// Records a created guest, evicts the oldest until the cap holds, slides the device's expiry, files a
    /// revocation for each session that left, and binds the idempotency key.
    fn commit(
        &self,
        at: At<'_>,
        commit: &Commit<'_>,
    ) -> impl Future<Output = Result<Committed, StoreFault>> + MaybeSend;

    /// Ends an admitted create that came to no session, and frees its idempotency key.
    fn abort(
        &self,
        at: At<'_>,
        abort: &Abort<'_>,
    ) -> impl Future<Output = Result<(), StoreFault>> + MaybeSend;

    /// Slides the device's expiry if `guest` has a live session there and `proof` is its token. Answers
    /// the session's new expiry, or `None` where either is not so.
    fn renew(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        guest: &GuestId,
        proof: &Proof,
    ) -> impl Future<Output = Result<Option<UnixMillis>, StoreFault>> + MaybeSend;

    /// Ends one session or all of a device's, filing a revocation for each.
    fn end(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        end: &End<'_>,
    ) -> impl Future<Output = Result<Ended, StoreFault>> + MaybeSend;

    /// The live sessions of a device, oldest first.
    fn list(
        &self,
        at: At<'_>,
        device: &DeviceKey,
    ) -> impl Future<Output = Result<Vec<SessionInfo>, StoreFault>> + MaybeSend;

    /// Up to `limit` devices of which something has expired, longest overdue first; also counts creates
    /// whose place in flight ran out as orphaned.
    fn due(
        &self,
        at: At<'_>,
        limit: usize,
    ) -> impl Future<Output = Result<Due, StoreFault>> + MaybeSend;

    /// Drops what has expired on these devices and files a revocation for each session.
    fn expire(
        &self,
        at: At<'_>,
        devices: &[DeviceKey],
    ) -> impl Future<Output = Result<Expired, StoreFault>> + MaybeSend;

    /// Leases up to `limit` due revocations under `claim`; none while Genesys is left alone.
    fn claim(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Job>, StoreFault>> + MaybeSend;

    /// Records how claimed revocations went. One whose claim no longer holds is left as it is.
    fn settle(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<Settled, StoreFault>> + MaybeSend;

    /// Up to `limit` revocations of a state, soonest attempt first.
    fn revocations(
        &self,
        at: At<'_>,
        state: RevocationState,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Revocation>, StoreFault>> + MaybeSend;

    /// Makes a revocation due now with its attempts reset; false when there is none.
    fn retry(
        &self,
        at: At<'_>,
        guest: &GuestId,
    ) -> impl Future<Output = Result<bool, StoreFault>> + MaybeSend;

    /// Gives a revocation up; false when there is none.
    fn abandon(
        &self,
        at: At<'_>,
        guest: &GuestId,
    ) -> impl Future<Output = Result<bool, StoreFault>> + MaybeSend;

    /// Prolongs the time for which Genesys is left alone to `until` when given, and answers until when it
    /// is now left alone (a time that has passed means it is not).
    fn cool_down(
        &self,
        at: At<'_>,
        until: Option<UnixMillis>,
    ) -> impl Future<Output = Result<UnixMillis, StoreFault>> + MaybeSend;

    /// Keeps the sealed access token that processes share, for so many milliseconds, when one is given;
    /// answers the one that is kept now.
    fn token(
        &self,
        keep: Option<(&str, u64)>,
    ) -> impl Future<Output = Result<Option<String>, StoreFault>> + MaybeSend;

    /// Counters and gauges.
    fn stats(&self, at: At<'_>) -> impl Future<Output = Result<Stats, StoreFault>> + MaybeSend;
}

/// A guest as its provider created it.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its identity.
    pub id: GuestId,
    /// Its token, for the visitor's browser.
    pub token: Secret,
}

/// Where guests come from and where they are revoked. One method is one attempt: repeating is decided
/// in [`crate::service`].
pub trait GuestProvider: MaybeSend + MaybeSync + 'static {
    /// Fetches whatever a call needs (an access token), so that the call itself starts at once. Answers
    /// whether that took a wait.
    fn prepare(
        &self,
        budget: Duration,
    ) -> impl Future<Output = Result<bool, CallFault>> + MaybeSend;

    /// Whether [`Self::prepare`] would have to fetch an access token that another process may have.
    fn wants_token(&self, _now: UnixMillis) -> bool {
        false
    }

    /// The access token at hand for other processes, and until when it is of use.
    fn export_token(&self) -> Option<(Secret, UnixMillis)> {
        None
    }

    /// Takes over what another process exported; false when it is of no use here.
    fn import_token(&self, _exported: &Secret, _now: UnixMillis) -> bool {
        false
    }

    /// Creates a guest. `routing` is the text of a JSON object.
    fn create(
        &self,
        routing: Option<&str>,
        budget: Duration,
    ) -> impl Future<Output = Result<Guest, CallFault>> + MaybeSend;

    /// Revokes a guest. Success means that the provider confirmed it.
    fn revoke(
        &self,
        guest: &GuestId,
        budget: Duration,
    ) -> impl Future<Output = Result<(), CallFault>> + MaybeSend;
}

/// A call to the provider that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFault {
    /// Which of its hosts was called.
    pub host: Host,
    /// What happened.
    pub kind: FaultKind,
    /// The wait it asked for, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// What Genesys says of the request; safe to log.
    pub context: Box<Context>,
    /// The guest that a create made all the same: its answer lacked something else.
    pub guest: Option<GuestId>,
}

/// The two hosts of Genesys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Hands out access tokens.
    Login,
    /// The platform API.
    Api,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// An answer with this status, not 2xx.
    Status(u16),
    /// A 2xx that cannot be read; what was asked for may have been done.
    Unreadable(String),
    /// The request was certainly never processed.
    NotSent(String),
    /// The connection broke; what was asked for may have been done.
    Broken(String),
    /// No answer in time; what was asked for may have been done.
    TimedOut,
}

/// What Genesys says of a request, for logs and reports: never a token, a secret or a message body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// Whether the body has the shape of a Genesys error: the answer speaks for the API itself rather than
    /// for something in between.
    pub is_genesys: bool,
    /// The error's `code`, such as `too.many.requests.retry.after`.
    pub code: Option<String>,
    /// The error's `contextId`.
    pub context_id: Option<String>,
    /// The header `ININ-Correlation-Id`.
    pub correlation_id: Option<String>,
}

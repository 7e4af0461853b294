//! A store that takes its time and fails as told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ManualClock;
use crate::names::{ClaimId, DeviceKey, GuestId};
use crate::seams::{Clock as _, SessionStore, StoreFault};
use crate::store::ops::{
    Abort, Admission, Admit, At, Commit, Committed, Due, End, Ended, Expired, Job, Proof,
    Revocation, RevocationState, SessionInfo, Settled, Settlement, Stats,
};
use crate::time::UnixMillis;

/// How a call is spoiled: before it is done, or after (its answer is lost).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spoil {
    pub(crate) fault: StoreFault,
    pub(crate) done: bool,
}

/// One call: its number (0 = the first) and the operation's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) number: usize,
    pub(crate) name: &'static str,
}

type Script = Box<dyn FnMut(Op) -> Option<Spoil> + Send>;

#[derive(Default)]
struct Calls {
    names: Vec<&'static str>,
    script: Option<Script>,
}

#[derive(Clone)]
pub(crate) struct FaultyStore<S> {
    pub(crate) inner: S,
    clock: ManualClock,
    calls: Arc<Mutex<Calls>>,
    /// How long a call takes on the way there, and again on the way back; milliseconds.
    pub(crate) latency_ms: u64,
}

impl<S> FaultyStore<S> {
    pub(crate) fn new(inner: S, clock: &ManualClock, latency_ms: u64) -> Self {
        Self { inner, clock: clock.clone(), calls: Arc::default(), latency_ms }
    }

    pub(crate) fn script(&self, script: impl FnMut(Op) -> Option<Spoil> + Send + 'static) {
        self.calls.lock().unwrap().script = Some(Box::new(script));
    }

    pub(crate) fn mend(&self) {
        self.calls.lock().unwrap().script = None;
    }

    /// The names of all operations called so far.
    pub(crate) fn called(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().names.clone()
    }

    async fn through<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreFault>>,
    ) -> Result<T, StoreFault> {
        let spoil = {
            let mut calls = self.calls.lock().unwrap();
            let op = Op { number: calls.names.len(), name };
            calls.names.push(name);
            calls.script.as_mut().and_then(|script| script(op))
        };
        self.travel().await;
        let outcome = match &spoil {
            Some(Spoil { fault, done: false }) => Err(fault.clone()),
            _ => call.await,
        };
        self.travel().await;
        match spoil {
            Some(spoil) => Err(spoil.fault),
            None => outcome,
        }
    }

    async fn travel(&self) {
        if self.latency_ms > 0 {
            self.clock.sleep(Duration::from_millis(self.latency_ms)).await;
        }
    }
}

macro_rules! operations {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<S: SessionStore> SessionStore for FaultyStore<S> {
            $(async fn $name(&self, at: At<'_>, $($arg: $type),*) -> Result<$answer, StoreFault> {
                self.through(stringify!($name), self.inner.$name(at, $($arg),*)).await
            })*

            async fn token(&self, keep: Option<(&str, u64)>) -> Result<Option<String>, StoreFault> {
                self.through("token", self.inner.token(keep)).await
            }
        }
    };
}
operations! {
    admit(admit: &Admit<'_>) -> Admission;
    commit(commit: &Commit<'_>) -> Committed;
    abort(abort: &Abort<'_>) -> ();
    renew(device: &DeviceKey, guest: &GuestId, proof: &Proof) -> Option<UnixMillis>;
    end(device: &DeviceKey, end: &End<'_>) -> Ended;
    list(device: &DeviceKey) -> Vec<SessionInfo>;
    due(limit: usize) -> Due;
    expire(devices: &[DeviceKey]) -> Expired;
    claim(claim: &ClaimId, limit: usize) -> Vec<Job>;
    settle(claim: &ClaimId, settlements: &[Settlement]) -> Settled;
    revocations(state: RevocationState, limit: usize) -> Vec<Revocation>;
    retry(guest: &GuestId) -> bool;
    abandon(guest: &GuestId) -> bool;
    cool_down(until: Option<UnixMillis>) -> UnixMillis;
    stats() -> Stats;
}

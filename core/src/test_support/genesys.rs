//! A Genesys in memory: an honest ledger of guests behind answers that a test may spoil, call by call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use super::ManualClock;
use crate::seams::{Clock as _, HttpFault, HttpSend};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Milliseconds since the test began.
    pub(crate) at: u64,
    pub(crate) request: Request<Bytes>,
}

impl Seen {
    pub(crate) fn is_token(&self) -> bool {
        self.request.uri().path() == "/oauth/token"
    }

    pub(crate) fn is_create(&self) -> bool {
        self.request.uri().path().ends_with("/guests")
    }

    /// The guest that it would revoke.
    pub(crate) fn revokes(&self) -> Option<&str> {
        let path = self.request.uri().path().strip_suffix("/invalidate")?;
        path.rsplit_once('/').map(|(_, guest)| guest)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).map(|value| value.to_str().unwrap())
    }
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// This answer; nothing is done.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// What was asked is done, but this is the answer.
    DoneBut(u16, String),
    NotSent,
    /// The connection breaks, before or after what was asked is done.
    Broken {
        done: bool,
    },
    /// No answer ever, before or after what was asked is done.
    Hang {
        done: bool,
    },
    /// Takes so many milliseconds longer, then goes on honestly.
    Slow(u64),
}

impl Act {
    pub(crate) fn status(status: u16) -> Self {
        let body = format!(r#"{{"message":"m","code":"c","status":{status},"contextId":"ctx-1"}}"#);
        Self::Answer(status, vec![("inin-correlation-id", "corr-1".to_owned())], body)
    }

    pub(crate) fn rate_limited(retry_after: &str) -> Self {
        let body = r#"{"message":"m","code":"too.many.requests.retry.after","status":429,"contextId":"x"}"#;
        Self::Answer(429, vec![("retry-after", retry_after.to_owned())], body.to_owned())
    }
}

type Script = Box<dyn FnMut(&Seen) -> Option<Act> + Send>;

#[derive(Default)]
struct Ledger {
    seen: Vec<Seen>,
    tokens: u64,
    created: Vec<String>,
    invalidated: BTreeMap<String, u64>,
    accepted: BTreeSet<String>,
    script: Option<Script>,
    expires_in: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct ScriptedHttp {
    clock: ManualClock,
    ledger: Arc<Mutex<Ledger>>,
    /// How long every call takes, milliseconds.
    latency_ms: u64,
}

impl ScriptedHttp {
    pub(crate) fn new(clock: &ManualClock, latency_ms: u64) -> Self {
        let ledger = Ledger { expires_in: Some(86_400), ..Ledger::default() };
        Self { clock: clock.clone(), ledger: Arc::new(Mutex::new(ledger)), latency_ms }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// From now on calls go as `script` says, honestly where it says nothing.
    pub(crate) fn script(&self, script: impl FnMut(&Seen) -> Option<Act> + Send + 'static) {
        self.lock().script = Some(Box::new(script));
    }

    /// The first calls of a kind go so, the others honestly.
    pub(crate) fn first(&self, kind: fn(&Seen) -> bool, acts: impl IntoIterator<Item = Act>) {
        let mut acts = acts.into_iter().collect::<Vec<_>>().into_iter();
        self.script(move |seen| kind(seen).then(|| acts.next()).flatten());
    }

    /// From now on all calls go honestly.
    pub(crate) fn mend(&self) {
        self.lock().script = None;
    }

    pub(crate) fn tokens_live_for(&self, seconds: Option<u64>) {
        self.lock().expires_in = seconds;
    }

    /// Access tokens issued so far are no longer accepted.
    pub(crate) fn refuse_old_tokens(&self) {
        self.lock().accepted.clear();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// When calls of a kind arrived.
    pub(crate) fn times(&self, kind: fn(&Seen) -> bool) -> Vec<u64> {
        self.lock().seen.iter().filter(|seen| kind(seen)).map(|seen| seen.at).collect()
    }

    pub(crate) fn count(&self, kind: fn(&Seen) -> bool) -> usize {
        self.times(kind).len()
    }

    /// Every guest ever created.
    pub(crate) fn created(&self) -> Vec<String> {
        self.lock().created.clone()
    }

    /// How often each guest was invalidated.
    pub(crate) fn invalidated(&self) -> BTreeMap<String, u64> {
        self.lock().invalidated.clone()
    }

    /// Does what was asked and answers.
    fn honestly(&self, seen: &Seen) -> (u16, String) {
        let mut ledger = self.lock();
        if seen.is_token() {
            ledger.tokens += 1;
            let token = format!("access-token-{}", ledger.tokens);
            ledger.accepted.insert(format!("Bearer {token}"));
            let expires = ledger.expires_in.map(|s| format!(r#","expires_in":{s}"#));
            let expires = expires.unwrap_or_default();
            let body = format!(r#"{{"access_token":"{token}","token_type":"bearer"{expires}}}"#);
            return (200, body);
        }
        if !seen.header("authorization").is_some_and(|bearer| ledger.accepted.contains(bearer)) {
            return (401, r#"{"message":"m","code":"bad.credentials","status":401}"#.to_owned());
        }
        if seen.is_create() {
            let id = format!("guest-{}", ledger.created.len() + 1);
            let body = format!(r#"{{"id":"{id}","guestToken":"guest-token-of-{id}"}}"#);
            ledger.created.push(id);
            return (201, body);
        }
        let guest = seen.revokes().expect("a route of the guests API").to_owned();
        if !ledger.created.contains(&guest) {
            return (404, r#"{"message":"m","code":"not.found","status":404}"#.to_owned());
        }
        *ledger.invalidated.entry(guest).or_default() += 1;
        (204, String::new())
    }
}

fn answer(status: u16, headers: &[(&'static str, String)], body: String) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Bytes::from(body)).unwrap()
}

impl HttpSend for ScriptedHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        let seen = Seen { at: self.clock.elapsed(), request };
        let act = {
            let mut ledger = self.lock();
            ledger.seen.push(seen.clone());
            let script = ledger.script.take();
            drop(ledger);
            // The script may look at this Genesys: the lock is not held over it.
            script.and_then(|mut script| {
                let act = script(&seen);
                self.lock().script.get_or_insert(script);
                act
            })
        };
        let done = !matches!(
            act,
            Some(
                Act::Answer(..)
                    | Act::NotSent
                    | Act::Broken { done: false }
                    | Act::Hang { done: false }
            )
        );
        let honest = done.then(|| self.honestly(&seen));
        let wait = if let Some(Act::Slow(more)) = act { more } else { 0 } + self.latency_ms;
        if wait > 0 {
            self.clock.sleep(Duration::from_millis(wait)).await;
        }
        match act {
            Some(Act::Answer(status, headers, body)) => Ok(answer(status, &headers, body)),
            Some(Act::DoneBut(status, body)) => Ok(answer(status, &[], body)),
            Some(Act::NotSent) => Err(HttpFault::NotSent("refused".to_owned())),
            Some(Act::Broken { .. }) => Err(HttpFault::Broken("reset".to_owned())),
            Some(Act::Hang { .. }) => std::future::pending().await,
            None | Some(Act::Slow(_)) => {
                let (status, body) = honest.unwrap();
                Ok(answer(status, &[], body))
            }
        }
    }
}

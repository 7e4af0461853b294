//! One client of a load: what it asks for next, and whether the answer keeps the contract.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;
use super::log::Entry;
use guestpass_tests::host::{OPERATOR, issue, sessions};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::real_time::timed;
use guestpass_tests::wait::{ms, now_ms, pause};
use guestpass_tests::world::Dice;

/// Sessions that are held to be renewed and ended; the rest is left to expire or to be evicted.
const MOST_HELD: usize = 500;

/// The calls of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// A visitor asks for a session.
    Issue,
    /// A visitor renews one.
    Renew,
    /// A visitor ends one.
    End,
    /// An operator lists a device's sessions.
    List,
    /// An operator ends all of a device's sessions.
    EndAll,
    /// An operator sweeps.
    Sweep,
    /// An operator looks at the numbers.
    Stats,
    /// An operator lists stuck revocations.
    Revocations,
    /// An operator has one tried again.
    Retry,
    /// An operator gives one up.
    Abandon,
}

impl Call {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Issue,
        Self::Renew,
        Self::End,
        Self::List,
        Self::EndAll,
        Self::Sweep,
        Self::Stats,
        Self::Revocations,
        Self::Retry,
        Self::Abandon,
    ];

    /// Whether this answer may be given. What Genesys' faults cause can only befall an issue.
    fn allows(self, status: u16, code: &str) -> bool {
        if (status, code) == (503, "store_unavailable") {
            return true;
        }
        match (status, code) {
            (200, "") => matches!(
                self,
                Self::Renew | Self::List | Self::Sweep | Self::Stats | Self::Revocations
            ),
            (201, "") => self == Self::Issue,
            (202, "") => matches!(self, Self::End | Self::EndAll | Self::Retry),
            (204, "") => self == Self::Abandon,
            (404, "session_not_found") => matches!(self, Self::Renew | Self::End),
            (404, "revocation_not_found") => matches!(self, Self::Retry | Self::Abandon),
            (409, "idempotency_in_flight")
            | (429, "device_busy")
            | (
                502,
                "genesys_unauthorized"
                | "genesys_forbidden"
                | "genesys_rejected"
                | "genesys_failed",
            )
            | (503, "genesys_rate_limited")
            | (504, "genesys_timeout") => self == Self::Issue,
            _ => false,
        }
    }

    /// What a caller asks for next: mostly what visitors do.
    const fn chosen(number: u64, operators: bool) -> Self {
        match number {
            0..50 => Self::Issue,
            50..70 => Self::Renew,
            70..80 => Self::End,
            _ if !operators => Self::Issue,
            80..86 => Self::List,
            86..89 => Self::EndAll,
            89..91 => Self::Sweep,
            91..94 => Self::Stats,
            _ => Self::Revocations,
        }
    }
}

/// Asks for one thing after the other until the load ends.
pub(super) async fn visit(shared: Arc<Shared>, number: usize, dice: Dice) {
    let mut client = Client { number, dice, shared };
    while !client.shared.stop.load(Ordering::Relaxed) {
        client.ask().await;
        let pace = u64::try_from(client.shared.plan.pace.as_millis()).unwrap_or(u64::MAX);
        if pace > 0 {
            pause(ms(client.dice.below(pace))).await;
        }
    }
}

struct Client {
    number: usize,
    dice: Dice,
    shared: Arc<Shared>,
}

impl Client {
    async fn ask(&mut self) {
        let device = self.dice.pick(&self.shared.plan.devices).expect("there are devices").clone();
        match Call::chosen(self.dice.below(100), self.shared.plan.operators) {
            Call::Issue => self.issue(&device).await,
            call @ (Call::Renew | Call::End) => self.use_session(call).await,
            Call::Revocations => self.look_after_stuck_ones().await,
            call => {
                let (method, target) = match call {
                    Call::List => ("GET", sessions(&device)),
                    Call::EndAll => ("DELETE", sessions(&device)),
                    Call::Sweep => ("POST", "/v1/sweep".to_owned()),
                    _ => ("GET", "/v1/stats".to_owned()),
                };
                let request = Request::new(method, &target).bearer(OPERATOR);
                let reply = self.send(call, &request).await.filter(|reply| reply.status == 200);
                if let (Call::List, Some(reply)) = (call, reply) {
                    let sessions = reply.json()["sessions"].as_array().map_or(0, Vec::len);
                    assert!(sessions <= self.shared.plan.cap, "{device} has {sessions} sessions");
                }
            }
        }
    }

    async fn issue(&mut self, device: &str) {
        let mut request = issue(device);
        let mut key = None;
        if self.dice.below(100) < self.shared.plan.keyed {
            // Few enough that they come again, many enough that most are new.
            let name = format!("key-{}", self.dice.below(200));
            request = request.header("Idempotency-Key", &name);
            key = Some(format!("{device} {name}"));
        }
        let Some(reply) = self.send(Call::Issue, &request).await else { return };
        if reply.status != 201 {
            return;
        }
        let session = Session::of(&reply);
        let mut log = self.shared.log();
        log.answered.insert(session.guest_id.clone(), device.to_owned());
        if let Some(key) = key {
            log.keys.entry(key).or_default().insert(session.guest_id.clone());
        }
        drop(log);
        let mut held = self.shared.held();
        if held.len() < MOST_HELD {
            held.push((device.to_owned(), session));
        } else if let Ok(at) = usize::try_from(self.dice.below(MOST_HELD as u64)) {
            held[at] = (device.to_owned(), session);
        }
    }

    async fn use_session(&mut self, call: Call) {
        let Some((device, session)) = self.dice.pick(&self.shared.held()).cloned() else { return };
        let target = format!("{}/{}", sessions(&device), session.guest_id);
        let request = match call {
            Call::Renew => Request::new("POST", &format!("{target}/renew")),
            _ => Request::new("DELETE", &target),
        };
        let reply = self.send(call, &request.bearer(&session.token)).await;
        if reply.is_some_and(|reply| matches!(reply.status, 202 | 404)) {
            self.shared.held().retain(|(_, held)| held.guest_id != session.guest_id);
        }
    }

    async fn look_after_stuck_ones(&mut self) {
        let list = Request::new("GET", "/v1/revocations?state=stuck&limit=20").bearer(OPERATOR);
        let Some(reply) = self.send(Call::Revocations, &list).await else { return };
        if reply.status != 200 {
            return;
        }
        let body = reply.json();
        let stuck = body["revocations"].as_array().expect("a list");
        let Some(guest) = self.dice.pick(stuck).and_then(|job| job["guestId"].as_str()) else {
            return;
        };
        let target = format!("/v1/revocations/{guest}");
        if self.dice.below(3) > 0 {
            let retry = Request::new("POST", &format!("{target}/retry")).bearer(OPERATOR);
            self.send(Call::Retry, &retry).await;
            return;
        }
        let reply =
            self.send(Call::Abandon, &Request::new("DELETE", &target).bearer(OPERATOR)).await;
        if reply.is_none_or(|reply| matches!(reply.status, 204 | 503)) {
            self.shared.log().abandoned.insert(guest.to_owned());
        }
    }

    /// Sends a request, checks the answer, and notes it.
    async fn send(&mut self, call: Call, request: &Request) -> Option<Reply> {
        let hosts = &self.shared.hosts;
        let host = hosts[self.number % hosts.len()];
        let sent_ms = now_ms();
        let (reply, took) = timed(request.try_send_over(&self.shared.connections, host)).await;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (status, problem) =
            reply.as_ref().map_or((0, None), |reply| (reply.status, problem(reply)));
        let (code, retry_after) = problem.unwrap_or_default();
        let is_allowed = status == 0 || call.allows(status, &code);
        assert!(is_allowed, "{call:?} was answered {reply:?}");
        self.shared.log().entries.push(Entry { call, sent_ms, took_us, status, code, retry_after });
        if status == 0 {
            // Nobody listens: the next try must not follow at once.
            pause(Duration::from_millis(10)).await;
        }
        reply
    }
}

/// The code of a problem, which must be one in every respect, and when to try again; nothing for a success.
fn problem(reply: &Reply) -> Option<(String, Option<u64>)> {
    if reply.status < 400 {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("a problem is JSON");
    let code = body["code"].as_str().expect("a problem has a code").to_owned();
    let retry_after = reply.problem(reply.status, &code).retry_after;
    let has_to_say_when = matches!(reply.status, 409 | 429 | 503);
    assert!(!has_to_say_when || retry_after.is_some_and(|s| s > 0), "no Retry-After: {reply:?}");
    Some((code, retry_after))
}

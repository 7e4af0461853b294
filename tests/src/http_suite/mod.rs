//! The behaviours of section 4 of the design, for any host. Each is an async function; `mount_http_suite!`
//! makes a test of each for one way to launch hosts. Nothing here may know which host it runs on.

pub mod access;
pub mod bodies;
pub mod calls;
pub mod cors;
pub mod edges;
pub mod errors;
pub mod figures;
pub mod headers;
pub mod idempotency;
pub mod limits;
pub mod mounted;
pub mod names;
pub mod races;
pub mod revocations;
pub mod rows;
pub mod sessions;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::host::{Host, Settings};
use crate::http_client::{Reply, Request};
use crate::real_time::eventually;
use crate::wait::{ms, now_ms};

/// As it comes: an operator, no site keys, any origin.
pub const OPEN: Settings<'_> = &[];

/// Sites, origins and several operators are named.
pub const GUARDED: Settings<'_> = &[
    ("OPERATOR_TOKEN", "first-operator-token, second-operator-token"),
    ("ISSUE_KEYS", "first-site-key, second-site-key"),
    ("ALLOWED_ORIGINS", "https://a.example, https://b.example:8443"),
];

/// No operator at all.
pub const UNATTENDED: Settings<'_> = &[("OPERATOR_TOKEN", "")];

/// For faults: one test at a time, short deadlines, and a revocation that fails is stuck at once.
pub const FRAGILE: Settings<'_> = &[
    ("MAX_SESSIONS_PER_DEVICE", "2"),
    ("REVOKE_MAX_ATTEMPTS", "1"),
    ("REQUEST_DEADLINE_MS", "1500"),
    ("RETRY_BASE_DELAY_MS", "10"),
    ("RETRY_JITTER_MS", "0"),
];

/// A fingerprint that no other test uses.
#[must_use]
pub fn device() -> String {
    static USED: AtomicU64 = AtomicU64::new(0);
    format!("device-{}.{}", now_ms(), USED.fetch_add(1, Ordering::Relaxed))
}

/// A session as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The guest's id.
    pub guest_id: String,
    /// The guest's token.
    pub token: String,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// When it expires, RFC 3339.
    pub expires_at: String,
    /// How many sessions it displaced.
    pub evicted: u64,
}

impl Session {
    /// Reads an answer to an issue, which must be a 201 with exactly the fields of a session.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let body = reply.clone().expect(201).json();
        let object = body.as_object().expect("a session is an object");
        assert_eq!(object.len(), 5, "{body}");
        let text =
            |field: &str| body[field].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        Self {
            guest_id: text("guestId"),
            token: text("guestToken"),
            created_at: text("createdAt"),
            expires_at: text("expiresAt"),
            evicted: body["evicted"].as_u64().expect("evicted is a number"),
        }
    }

    /// Asks for a session with an empty body.
    pub async fn issue(host: &Host, fingerprint: &str) -> Self {
        Self::of(&host.issue(fingerprint).await)
    }
}

/// A device's sessions as the operator sees them.
pub async fn listed(host: &Host, fingerprint: &str) -> Vec<Value> {
    let reply = host.operate("GET", &crate::host::sessions(fingerprint)).await.expect(200);
    let body = reply.json();
    body["sessions"].as_array().expect("sessions is a list").clone()
}

/// The guest ids of a list.
#[must_use]
pub fn guest_ids(list: &[Value]) -> Vec<String> {
    list.iter().map(|item| item["guestId"].as_str().expect("a guestId").to_owned()).collect()
}

/// Waits until Genesys has been told to invalidate a guest.
pub async fn invalidated(host: &Host, guest_id: &str) {
    eventually("the guest is revoked", ms(2000), async || {
        host.sim.invalidated(guest_id).then_some(())
    })
    .await;
}

/// A counter or gauge of the statistics.
pub async fn figure(host: &Host, kind: &str, name: &str) -> u64 {
    let body = host.operate("GET", "/v1/stats").await.expect(200).json();
    body[kind][name].as_u64().unwrap_or_else(|| panic!("no {kind} {name} in {body}"))
}

/// Milliseconds between two times as they stand in answers.
#[must_use]
pub fn millis_between(earlier: &str, later: &str) -> i64 {
    let read = |text: &str| {
        assert!(
            text.len() == 24 && text.ends_with('Z'),
            "{text} is not RFC 3339 with milliseconds"
        );
        let digits = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
        let (hours, minutes) = (digits(11..13), digits(14..16));
        // Days count from 2000 March 1st; the formula is that of Howard Hinnant's days_from_civil.
        let (year, month, day) = (digits(0..4), digits(5..7), digits(8..10));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
        (((days * 24 + hours) * 60 + minutes) * 60 + digits(17..19)) * 1000 + digits(20..23)
    };
    read(later) - read(earlier)
}

/// A request by a guest, for its own session.
#[must_use]
pub fn by_guest(method: &str, target: &str, session: &Session) -> Request {
    Request::new(method, target).bearer(&session.token)
}

/// Makes a module of tests of every behaviour, for one way to launch hosts.
#[macro_export]
macro_rules! mount_http_suite {
    ($name:ident, $launch:expr) => {
        mod $name {
            $crate::http_behaviours!($launch);
        }
    };
}

/// Makes a module of tests of one group of behaviours. `shared` ones have a host together, `alone` ones too
/// but one at a time, `own` ones start theirs.
#[macro_export]
macro_rules! mount_http_group {
    ($launch:expr, shared $group:ident $settings:ident: $($file:ident::$test:ident)*) => {
        mod $group {
            static HOST: $crate::host::Shared = $crate::host::Shared::new();
            $(#[test]
            fn $test() {
                $crate::host::run(async {
                    let host = HOST.get(&$launch, $crate::http_suite::$settings).await;
                    $crate::http_suite::$file::$test(host).await;
                });
            })*
        }
    };
    ($launch:expr, alone $group:ident $settings:ident: $($file:ident::$test:ident)*) => {
        mod $group {
            static HOST: $crate::host::Shared = $crate::host::Shared::new();
            $(#[test]
            fn $test() {
                $crate::host::run(async {
                    let (host, _turn) = HOST.alone(&$launch, $crate::http_suite::$settings).await;
                    $crate::http_suite::$file::$test(host).await;
                });
            })*
        }
    };
    ($launch:expr, own $group:ident: $($file:ident::$test:ident)*) => {
        mod $group {
            $(#[test]
            fn $test() {
                $crate::host::run($crate::http_suite::$file::$test(&$launch));
            })*
        }
    };
}

//! The targets. Each makes a world, gives it the input, and checks what comes of it.

use bytes::Bytes;
use guestpass_core::config::{Config, HostKind};
use guestpass_core::names::{ClaimId, DeviceKey, Fingerprint, FlightId, GuestId};
use guestpass_core::seams::{Reply, SessionStore, StoreFault};
use guestpass_core::secret::Secret;
use guestpass_core::service::retry::parse_retry_after;
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::ops::{
    Abort, AbortOutcome, Admit, At, Commit, End, Idempotency, Proof, RevocationState, StoredToken,
};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use guestpass_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use crate::contract::{SECRETS, check};
use crate::world::{Answers, FastClock, Peer, app, config, run};

const DEVICE: &str = "fuzzed-device-1";

/// Requests, one after the other. Each is written as in HTTP/1.1 without its version: a line with method and
/// target, header lines, an empty line, the body. A line of `%%` ends it.
pub fn http_requests(data: &[u8]) {
    let clock = FastClock::default();
    let app = app(EmbeddedStore::new(), &Peer::default(), &clock);
    let secrets = unknown_to(data);
    ask(&app, request("POST", &format!("/v1/devices/{DEVICE}/sessions"), ""), &secrets);
    for text in split(data, b"\n%%\n").into_iter().take(8) {
        let Some(request) = read_request(text) else { continue };
        ask(&app, request, &secrets);
    }
}

fn read_request(text: &[u8]) -> Option<Request<Bytes>> {
    let (head, body) = split_once(text, b"\n\n").unwrap_or((text, b""));
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = split_once(lines.next()?, b" ")?;
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    add_headers(request.headers_mut(), lines);
    Some(request)
}

fn add_headers<'a>(headers: &mut HeaderMap, lines: impl Iterator<Item = &'a [u8]>) {
    for line in lines.take(64) {
        let Some((name, value)) = split_once(line, b": ") else { continue };
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
}

/// Variables, one a line: `NAME=value`, for every host. A line without `=` is a file that cannot be read.
pub fn config_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.lines().collect();
    let variable = |name: &str| {
        let of = |line: &&str| match line.split_once('=') {
            Some((known, value)) => (known == name).then(|| Ok(Some(value.to_owned()))),
            None => (*line == name).then(|| Err("cannot be read".to_owned())),
        };
        lines.iter().find_map(of).unwrap_or(Ok(None))
    };
    for host in [HostKind::Origin, HostKind::Dev, HostKind::Edge] {
        let shown = match Config::parse(host, &variable) {
            Ok(config) => {
                assert!(config.limits.cap >= 1 && config.shards >= 1, "a limit of 0");
                assert!(config.fingerprint_keys.len() <= 4, "too many keys");
                for url in [&config.genesys.login_url, &config.genesys.api_url] {
                    assert!(url.parse::<Uri>().is_ok(), "a URL that is none: {url}");
                }
                format!("{config:?}")
            }
            Err(mistakes) => {
                assert!(!mistakes.0.is_empty(), "no mistake, and no configuration");
                format!("{mistakes} {mistakes:?}")
            }
        };
        for secret in SECRETS {
            let is_open = |line: &&str| line.contains(secret) && !is_of_a_secret(line);
            assert!(
                lines.iter().any(is_open) || !shown.contains(secret),
                "a configuration shows {secret}"
            );
        }
    }
}

/// Whether a line sets a variable whose value is never shown.
fn is_of_a_secret(line: &str) -> bool {
    const NAMES: [&str; 9] = [
        "GENESYS_CLIENT_ID",
        "GENESYS_CLIENT_SECRET",
        "REDIS_URL",
        "UPSTASH_REDIS_REST_TOKEN",
        "OPERATOR_TOKEN",
        "ISSUE_KEYS",
        "FINGERPRINT_KEY",
        "TOKEN_SEALING_KEY",
        "REDIS_REST_TOKEN",
    ];
    line.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name))
}

/// Answers of a REST service to every operation of the store: see [`read_answers`].
pub fn upstash_replies(data: &[u8]) {
    let clock = FastClock::default();
    let peer = Peer::answering(read_answers(data));
    let token = Secret::new("rest-token-s3cr3t");
    let url = "https://redis.example".to_owned();
    let kv = UpstashKv::new(peer, clock, url, &token).expect("a token for a header");
    every_operation(&RedisStore::new(kv, Keys::new("fuzz:", 2)), &unknown_to(data));
}

/// Answers of Genesys to whatever comes first of an issue, a renewal, an end and a sweep; see [`read_answers`].
pub fn genesys_replies(data: &[u8]) {
    let (clock, secrets) = (FastClock::default(), unknown_to(data));
    let app = app(EmbeddedStore::new(), &Peer::answering(read_answers(data)), &clock);
    let path = format!("/v1/devices/{DEVICE}/sessions");
    for _ in 0..5 {
        let issued = ask(&app, request("POST", &path, r#"{"routing":{"queueId":"q"}}"#), &secrets);
        if issued.status() == StatusCode::CREATED {
            let body: serde_json::Value = serde_json::from_slice(issued.body()).expect("a session");
            let guest = body["guestId"].as_str().expect("an id");
            assert!(GuestId::parse(guest).is_ok(), "a guest id that is none: {guest:?}");
            let token = body["guestToken"].as_str().expect("a token");
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "a token for no header");
            let mut renew = request("POST", &format!("{path}/{guest}/renew"), "");
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
            renew.headers_mut().insert("authorization", bearer);
            assert_eq!(ask(&app, renew, &secrets).status(), StatusCode::OK);
        }
        ask(&app, request("POST", "/v1/sweep", ""), &secrets);
    }
    ask(&app, request("DELETE", &path, ""), &secrets);
    ask(&app, request("POST", "/v1/sweep", ""), &secrets);
    for state in ["pending", "stuck"] {
        ask(&app, request("GET", &format!("/v1/revocations?state={state}"), ""), &secrets);
    }
}

/// Replies of a Redis, as JSON arrays one a line, to every operation of the store, and then to every call.
pub fn stored_replies(data: &[u8]) {
    let replies = || -> Vec<Reply> {
        let lines = data.split(|byte| *byte == b'\n').take(64);
        lines
            .map(|line| serde_json::from_slice(line).map_or(raw(line), |value| reply(&value)))
            .collect()
    };
    let secrets = unknown_to(data);
    every_operation(&RedisStore::new(Answers::new(replies()), Keys::new("fuzz:", 1)), &secrets);
    every_operation(&RedisStore::new(Answers::new(replies()), Keys::new("fuzz:", 3)), &secrets);
    let clock = FastClock::default();
    let store = RedisStore::new(Answers::new(replies()), Keys::new("fuzz:", 1));
    let app = app(store, &Peer::default(), &clock);
    let path = format!("/v1/devices/{DEVICE}/sessions");
    for (method, path) in [
        ("POST", path.as_str()),
        ("GET", &path),
        ("GET", "/v1/revocations"),
        ("GET", "/v1/stats"),
        ("GET", "/metrics"),
        ("POST", "/v1/sweep"),
        ("POST", "/v1/revocations/guest-1/retry"),
        ("DELETE", &path),
    ] {
        // What is left to do is left: this Redis would never hear of it.
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = run(app.handle(request(method.as_str(), path, ""), None));
        check(&method, &answer.response, &secrets);
    }
}

/// A `Retry-After`, after 8 bytes that say what time it is.
pub fn retry_after(data: &[u8]) {
    let Some((time, text)) = data.split_first_chunk() else { return };
    let now = UnixMillis::new(u64::from_le_bytes(*time));
    let text = String::from_utf8_lossy(text);
    if let Some(wait) = parse_retry_after(&text, now) {
        assert!(wait <= 24 * 3600 * 1000, "a wait of {wait} ms");
        if let Ok(seconds) = text.trim().parse::<u64>() {
            assert!(seconds.saturating_mul(1000) == wait || wait == 24 * 3600 * 1000, "{wait}");
        }
    } else {
        let is_number = !text.trim().is_empty() && text.trim().bytes().all(|b| b.is_ascii_digit());
        assert!(!is_number, "a number of seconds is refused");
    }
    assert!(now.rfc3339().len() == 24, "{}", now.rfc3339());
}

/// A name that is to be a fingerprint, a guest id and a stored device.
pub fn fingerprints(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b));
    let length = text.len();
    let fingerprint = Fingerprint::parse(&text);
    assert_eq!(fingerprint.is_ok(), is_plain && (8..=256).contains(&length));
    let is_dots = text == "." || text == "..";
    assert_eq!(GuestId::parse(&text).is_ok(), is_plain && !is_dots && (1..=128).contains(&length));
    let Ok(fingerprint) = fingerprint else { return };
    assert_eq!(format!("{fingerprint:?}"), format!("Fingerprint(#{})", fingerprint.short_hash()));
    let keys = ["new", "old"].map(Secret::new);
    for device in [DeviceKey::of(&fingerprint, &[]), DeviceKey::of(&fingerprint, &keys)] {
        assert_eq!(format!("{device:?}"), "DeviceKey(#)");
        assert_eq!(DeviceKey::from_stored(device.as_str()).as_ref(), Ok(&device));
        for shards in [1, 7] {
            let keys = Keys::new("fuzz:", shards);
            let key = format!("{}{}", keys.base(keys.shard_of(&device)), device.as_str());
            assert_eq!(keys.device_of(&key).as_ref(), Some(&device));
        }
    }
}

/// Answers, each written like one of HTTP/1.1 without its version: a line with the status, header lines, an empty
/// line, the body. A line of `%%` ends it.
fn read_answers(data: &[u8]) -> Vec<Response<Bytes>> {
    let answer = |text: &[u8]| {
        let (head, body) = split_once(text, b"\n\n").unwrap_or((text, b""));
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok());
        let mut response = Response::new(Bytes::copy_from_slice(body));
        *response.status_mut() = status.unwrap_or(StatusCode::OK);
        add_headers(response.headers_mut(), lines);
        response
    };
    split(data, b"\n%%\n").into_iter().take(64).map(answer).collect()
}

fn raw(line: &[u8]) -> Reply {
    Reply::Bytes(Bytes::copy_from_slice(line))
}

fn reply(value: &serde_json::Value) -> Reply {
    match value {
        serde_json::Value::Array(items) => Reply::Array(items.iter().map(reply).collect()),
        serde_json::Value::Number(number) => number.as_i64().map_or(Reply::Nil, Reply::Int),
        serde_json::Value::String(text) => raw(text.as_bytes()),
        _ => Reply::Nil,
    }
}

/// Calls every operation; each answers or fails, and no fault is long or tells a secret.
fn every_operation(store: &impl SessionStore, secrets: &[&str]) {
    fn told<T>(outcome: Result<T, StoreFault>, secrets: &[&str]) {
        let Err(fault) = outcome else { return };
        let text = fault.to_string();
        assert!(text.chars().count() <= 250, "a fault of {} characters", text.chars().count());
        for secret in secrets {
            assert!(!text.contains(secret), "a fault shows {secret}");
        }
    }
    let limits = config().limits;
    let at = At { now: UnixMillis::new(1_750_000_020_000), limits: &limits };
    let device = &DeviceKey::of(
        &Fingerprint::parse(DEVICE).expect("a fingerprint"),
        &["new", "old"].map(Secret::new),
    );
    let guest = &GuestId::parse("guest-1").expect("a guest id");
    let flight = &FlightId::from_random([1; 16]);
    let claim = &ClaimId::from_random([2; 16]);
    let key = Idempotency { key_hash: "k".to_owned(), body_hash: "b".to_owned(), overwrite: false };
    let token = &StoredToken { text: Secret::new("access-token-s3cr3t"), sha256: None };
    let proof = &Proof { token: Secret::new("access-token-s3cr3t"), sha256: "h".to_owned() };
    let idempotency = Some(&key);
    let admit = Admit { device, flight, idempotency, address_hash: Some("a") };
    told(run(store.admit(at, &admit)), secrets);
    let commit = Commit { device, flight, guest, token, idempotency };
    told(run(store.commit(at, &commit)), secrets);
    let outcome = AbortOutcome::CommitFailed(guest);
    told(run(store.abort(at, &Abort { device, flight, idempotency, outcome })), secrets);
    told(run(store.renew(at, device, guest, proof)), secrets);
    told(run(store.end(at, device, &End::Own(guest, proof))), secrets);
    told(run(store.list(at, device)), secrets);
    if let Ok(due) = run(store.due(at, 10)) {
        assert!(due.devices.len() <= 10, "more devices than asked for");
        told(run(store.expire(at, &due.devices)), secrets);
    }
    told(run(store.claim(at, claim, 10)), secrets);
    told(run(store.settle(at, claim, &[])), secrets);
    for state in [RevocationState::Pending, RevocationState::Stuck] {
        if let Ok(all) = run(store.revocations(at, state, 10)) {
            assert!(all.len() <= 10, "more revocations than asked for");
        }
    }
    told(run(store.retry(at, guest)), secrets);
    told(run(store.abandon(at, guest)), secrets);
    told(run(store.cool_down(at, Some(at.now.plus(1000)))), secrets);
    told(run(store.token(None)), secrets);
    told(run(store.stats(at)), secrets);
}

/// The secrets that a peer's answers do not hold themselves: what a peer knows, it can make us say.
fn unknown_to(data: &[u8]) -> Vec<&'static str> {
    let holds = |secret: &&str| data.windows(secret.len()).any(|part| part == secret.as_bytes());
    SECRETS.into_iter().filter(|secret| !holds(secret)).collect()
}

fn request(method: &str, path: &str, body: &str) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", "Bearer operator-token-s3cr3t");
    request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a request")
}

/// Asks, checks the answer, and does what is left to do.
fn ask<S: SessionStore, P: guestpass_core::seams::GuestProvider>(
    app: &guestpass_core::service::App<S, P, FastClock>,
    request: Request<Bytes>,
    secrets: &[&str],
) -> Response<Bytes> {
    let method = request.method().clone();
    let answer = run(app.handle(request, Some(std::net::IpAddr::from([192, 0, 2, 1]))));
    check(&method, &answer.response, secrets);
    run(app.finish(answer.after, None));
    answer.response
}

fn split_once<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(by.len()).position(|window| window == by)?;
    Some((&text[..at], &text[at + by.len()..]))
}

fn split<'a>(mut text: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = split_once(text, by) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

//! What each call does: reads its input, asks the rules or the store, writes its answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::problem::{Code, Problem};
use super::route::{Call, Route};
use super::{Exchange, input, json_answer, metrics, openapi, written_answer};
use crate::json::push_string;
use crate::names::{DeviceKey, Fingerprint, GuestId};
use crate::seams::{Clock, GuestProvider, SessionStore, StoreFault};
use crate::secret::Secret;
use crate::service::issue::{Order, Session};
use crate::service::{App, sha256};
use crate::store::ops::{End, Proof, Revocation, SessionInfo};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

type Outcome = Result<Response<Bytes>, Problem>;

/// Makes a call that the caller may make.
pub(super) async fn make<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    route: Route<'_>,
    call: Call,
) -> Outcome {
    match (call, route) {
        (Call::Issue, Route::Sessions { fingerprint }) => issue(app, x, fingerprint).await,
        (Call::List, Route::Sessions { fingerprint }) => list(app, x, fingerprint).await,
        (Call::EndAll, Route::Sessions { fingerprint }) => end_all(app, x, fingerprint).await,
        (Call::End, Route::Session { fingerprint, guest }) => end(app, x, fingerprint, guest).await,
        (Call::Renew, Route::Renew { fingerprint, guest }) => {
            renew(app, x, fingerprint, guest).await
        }
        (Call::Revocations, _) => revocations(app, x).await,
        (Call::Retry, Route::RetryRevocation { guest }) => retry(app, x, guest).await,
        (Call::Abandon, Route::Revocation { guest }) => abandon(app, x, guest).await,
        (Call::Sweep, _) => sweep(app, x).await,
        (Call::Stats, _) => {
            no_body(x)?;
            let stats = app.store.stats(app.at()).await.map_err(failed)?;
            Ok(json_answer(StatusCode::OK, &metrics::as_json(&stats, app.clock.now())))
        }
        (Call::Metrics, _) => {
            no_body(x)?;
            let stats = app.store.stats(app.at()).await.map_err(failed)?;
            let mut text = metrics::as_prometheus(&stats, app.clock.now());
            app.instruments.write_prometheus(&mut text);
            let mut response = Response::new(Bytes::from(text));
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
        (Call::Healthz, _) => Ok(json_answer(StatusCode::OK, &json!({ "status": "ok" }))),
        (Call::Readyz, _) => {
            app.store.cool_down(app.at(), None).await.map_err(failed)?;
            Ok(json_answer(StatusCode::OK, &json!({ "status": "ready" })))
        }
        (Call::OpenApi, _) => Ok(openapi::answer()),
        // A call is only ever found on its own route.
        _ => Err(Problem::new(Code::Internal, "a call on another call's route")),
    }
}

fn failed(fault: StoreFault) -> Problem {
    Problem::of_store(&fault)
}

fn no_body(x: &Exchange<'_>) -> Result<(), Problem> {
    input::no_body(&x.parts.headers, x.body)
}

fn guest_id(text: &str) -> Result<GuestId, Problem> {
    GuestId::parse(text).map_err(|rule| Problem::new(Code::InvalidGuestId, rule.to_string()))
}

/// The device of a path, noted for the log.
fn device<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    text: &str,
) -> Result<DeviceKey, Problem> {
    let fingerprint = Fingerprint::parse(text)
        .map_err(|rule| Problem::new(Code::InvalidFingerprint, rule.to_string()))?;
    x.device = Some(fingerprint.short_hash());
    Ok(app.device(&fingerprint))
}

fn session_not_found() -> Problem {
    Problem::new(
        Code::SessionNotFound,
        "the device has no live session of this guest, or the token is not its own",
    )
}

fn revocation_not_found() -> Problem {
    Problem::new(Code::RevocationNotFound, "no revocation of this guest is pending or stuck")
}

fn issued(session: &Session) -> Response<Bytes> {
    let token = session.token.expose();
    let mut body = String::with_capacity(token.len() + 256);
    body.push_str(r#"{"guestId":""#);
    // Guest ids and times need no escaping.
    body.push_str(session.guest.as_str());
    body.push_str(r#"","guestToken":"#);
    push_string(&mut body, token);
    body.push_str(r#","createdAt":""#);
    body.push_str(&session.created_at.rfc3339());
    body.push_str(r#"","expiresAt":""#);
    body.push_str(&session.expires_at.rfc3339());
    body.push_str(r#"","evicted":"#);
    body.push_str(&session.evicted.to_string());
    body.push('}');
    written_answer(StatusCode::CREATED, body.into())
}

async fn issue<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    fingerprint: &str,
) -> Outcome {
    let device = device(app, x, fingerprint)?;
    let body = input::issue_body(&x.parts.headers, x.body)?;
    let idempotency = input::idempotency(&x.parts.headers, &body)?;
    let address_hash = x.client.filter(|_| app.rules.limits.rate_per_ip > 0).map(address_hash);
    let order = Order { device, routing: body.routing, idempotency, address_hash };
    let (outcome, after) = app.issue(order).await;
    x.after = after;
    let session = outcome.map_err(|failure| Problem::of_failure(&failure, app.clock.now()))?;
    let mut response = issued(&session);
    if session.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// An address as it is stored: hashed, and for IPv6 the network of one subscriber (/64), whose single
/// addresses are free to choose.
fn address_hash(address: std::net::IpAddr) -> String {
    let network = match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => {
            std::net::Ipv6Addr::from(u128::from(v6) >> 64 << 64).to_string()
        }
    };
    let mut hash = sha256(&network);
    hash.truncate(32);
    hash
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionBody<'a> {
    guest_id: &'a str,
    created_at: String,
    expires_at: String,
}

async fn list<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    fingerprint: &str,
) -> Outcome {
    let device = device(app, x, fingerprint)?;
    no_body(x)?;
    let sessions = app.store.list(app.at(), &device).await.map_err(failed)?;
    let show = |session: &SessionInfo| {
        json!(SessionBody {
            guest_id: session.guest.as_str(),
            created_at: session.created_at.rfc3339(),
            expires_at: session.expires_at.rfc3339(),
        })
    };
    let sessions: Vec<_> = sessions.iter().map(show).collect();
    Ok(json_answer(StatusCode::OK, &json!({ "sessions": sessions })))
}

fn proof(x: &Exchange<'_>) -> Result<Proof, Problem> {
    let token: Secret = x.bearer.clone().ok_or_else(session_not_found)?;
    let sha256 = sha256(token.expose());
    Ok(Proof { token, sha256 })
}

async fn renew<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    fingerprint: &str,
    guest: &str,
) -> Outcome {
    let device = device(app, x, fingerprint)?;
    let guest = guest_id(guest)?;
    no_body(x)?;
    let expires_at =
        app.store.renew(app.at(), &device, &guest, &proof(x)?).await.map_err(failed)?;
    let expires_at = expires_at.ok_or_else(session_not_found)?;
    Ok(json_answer(
        StatusCode::OK,
        &json!({ "guestId": guest.as_str(), "expiresAt": expires_at.rfc3339() }),
    ))
}

async fn end<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    fingerprint: &str,
    guest: &str,
) -> Outcome {
    let device = device(app, x, fingerprint)?;
    let guest = guest_id(guest)?;
    no_body(x)?;
    let proof = proof(x)?;
    let end = if app.rules.access.is_operator(proof.token.expose()) {
        End::One(&guest)
    } else {
        End::Own(&guest, &proof)
    };
    let ended = app.store.end(app.at(), &device, &end).await.map_err(failed)?;
    x.after.revocations_filed = ended.ended > 0 || ended.expired > 0;
    if ended.ended == 0 {
        return Err(session_not_found());
    }
    Ok(json_answer(StatusCode::ACCEPTED, &json!({ "revocations": ended.ended })))
}

async fn end_all<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    fingerprint: &str,
) -> Outcome {
    let device = device(app, x, fingerprint)?;
    no_body(x)?;
    let ended = app.store.end(app.at(), &device, &End::All).await.map_err(failed)?;
    x.after.revocations_filed = ended.ended > 0 || ended.expired > 0;
    Ok(json_answer(StatusCode::ACCEPTED, &json!({ "revocations": ended.ended })))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevocationBody<'a> {
    guest_id: &'a str,
    reason: Option<&'a str>,
    state: &'a str,
    attempts: u32,
    enqueued_at: String,
    next_attempt_at: Option<String>,
    last_error: Option<&'a str>,
}

async fn revocations<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &Exchange<'_>,
) -> Outcome {
    let query = input::revocations_query(x.parts.uri.query())?;
    no_body(x)?;
    let all = app.store.revocations(app.at(), query.state, query.limit).await.map_err(failed)?;
    let show = |revocation: &Revocation| {
        json!(RevocationBody {
            guest_id: revocation.guest.as_str(),
            reason: revocation.reason.map(|reason| reason.as_str()),
            state: revocation.state.as_str(),
            attempts: revocation.attempts,
            enqueued_at: revocation.enqueued_at.rfc3339(),
            next_attempt_at: revocation.next_attempt_at.map(|at| at.rfc3339()),
            last_error: revocation.last_error.as_deref(),
        })
    };
    let all: Vec<_> = all.iter().map(show).collect();
    Ok(json_answer(StatusCode::OK, &json!({ "revocations": all })))
}

async fn retry<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &mut Exchange<'_>,
    guest: &str,
) -> Outcome {
    let guest = guest_id(guest)?;
    no_body(x)?;
    if !app.store.retry(app.at(), &guest).await.map_err(failed)? {
        return Err(revocation_not_found());
    }
    x.after.revocations_filed = true;
    Ok(json_answer(StatusCode::ACCEPTED, &json!({})))
}

async fn abandon<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &Exchange<'_>,
    guest: &str,
) -> Outcome {
    let guest = guest_id(guest)?;
    no_body(x)?;
    if !app.store.abandon(app.at(), &guest).await.map_err(failed)? {
        return Err(revocation_not_found());
    }
    tracing::warn!(guest_id = %guest, "an operator gave a revocation up");
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn sweep<S: SessionStore, P: GuestProvider, C: Clock>(
    app: &App<S, P, C>,
    x: &Exchange<'_>,
) -> Outcome {
    no_body(x)?;
    let bounds = &app.rules.sweep_on_demand;
    Ok(json_answer(StatusCode::OK, &app.sweep(bounds).await.map_err(failed)?))
}

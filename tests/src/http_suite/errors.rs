//! The rows of the table of errors that no other file has: Genesys' refusals and silence.

use std::sync::Arc;

use genesys_sim::{CallKind, Effect, Fault, On, SimConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Session, device, figure, guest_ids, listed};
use crate::host::{Host, Launch, start_sim};
use crate::http_client::Problem;
use crate::listener::handle_each;
use crate::wait::ms;

const fn status(code: u16) -> Effect {
    Effect::Status { code, retry_after: None, body: None }
}

/// Issues at a full device while every create meets a fault; the device must not notice.
async fn refused(host: &Host, effect: Effect, status: u16, code: &str) -> Problem {
    let fingerprint = device();
    for _ in 0..2 {
        let _ = Session::issue(host, &fingerprint).await;
    }
    let before = guest_ids(&listed(host, &fingerprint).await);
    host.sim.fault(Fault::always(On::Create, effect));
    let problem = host.issue(&fingerprint).await.problem(status, code);
    host.sim.clear_faults();
    assert_eq!(guest_ids(&listed(host, &fingerprint).await), before, "a session was touched");
    assert_eq!(figure(host, "gauges", "inFlight").await, 0, "a place in flight was kept");
    let _ = Session::issue(host, &fingerprint).await;
    problem
}

/// Credentials that the API does not take, not even renewed.
pub async fn genesys_unauthorized(host: &Host) {
    let creates = host.sim.count(CallKind::Create);
    let _ = refused(host, status(401), 502, "genesys_unauthorized").await;
    // Two issues before, one refused with two tokens, one after.
    assert_eq!(host.sim.count(CallKind::Create), creates + 5);
}

/// An access token that is revoked in mid-life costs one more, and no visitor notices.
pub async fn a_revoked_access_token_is_renewed_once(host: &Host) {
    let _ = Session::issue(host, &device()).await;
    let (tokens, creates) = (host.sim.count(CallKind::Token), host.sim.count(CallKind::Create));
    host.sim.revoke_tokens();
    let _ = Session::issue(host, &device()).await;
    assert_eq!(host.sim.count(CallKind::Token), tokens + 1);
    assert_eq!(host.sim.count(CallKind::Create), creates + 2);
}

/// The detail says which role or scope.
pub async fn genesys_forbidden(host: &Host) {
    let problem = refused(host, status(403), 502, "genesys_forbidden").await;
    assert!(problem.detail.contains("messaging:guest:manage"), "{}", problem.detail);
    assert!(problem.detail.contains("role"), "{}", problem.detail);
}

/// Any other 4xx, at once.
pub async fn genesys_rejected(host: &Host) {
    for code in [400, 404, 409, 422] {
        let creates = host.sim.count(CallKind::Create);
        let problem = refused(host, status(code), 502, "genesys_rejected").await;
        assert!(problem.detail.contains(&code.to_string()), "{}", problem.detail);
        // Two issues before, one refused, one after.
        assert_eq!(host.sim.count(CallKind::Create), creates + 4);
    }
}

/// 5xx after the retries.
pub async fn genesys_failed(host: &Host) {
    for (code, tries) in [(500, 1), (502, 3), (503, 3), (504, 3)] {
        let creates = host.sim.count(CallKind::Create);
        let _ = refused(host, status(code), 502, "genesys_failed").await;
        assert_eq!(host.sim.count(CallKind::Create), creates + 3 + tries, "{code}");
    }
}

/// An answer to a create that is too long, too deep, or of other types makes no session, and may have left a
/// guest, which is counted.
pub async fn no_answer_of_genesys_is_trusted(host: &Host) {
    let guest = |rest: &str| format!(r#"{{"id":"a-guest","guestToken":"a-token"{rest}}}"#);
    let answers = [
        guest(&format!(r#","padding":"{}""#, "x".repeat(1 << 20))),
        guest(&format!(r#","nested":{}"#, "[".repeat(100_000))),
        guest(r#","id":"another""#),
        r#"{"id":["a-guest"],"guestToken":"a-token"}"#.to_owned(),
        r#"{"id":"../../a-guest","guestToken":"a-token"}"#.to_owned(),
        "null".to_owned(),
    ];
    for answer in answers {
        let shown: String = answer.chars().take(60).collect();
        let orphaned = figure(host, "counters", "orphaned").await;
        let _ = refused(host, Effect::MalformedBody(answer), 502, "genesys_failed").await;
        assert_eq!(figure(host, "counters", "orphaned").await, orphaned + 1, "{shown}");
    }
}

/// Nothing within the deadline.
pub async fn genesys_timeout(host: &Host) {
    let orphaned = figure(host, "counters", "orphaned").await;
    let _ = refused(host, Effect::Hang { after_work: false }, 504, "genesys_timeout").await;
    assert_eq!(figure(host, "counters", "orphaned").await, orphaned + 1);
}

/// With the wait that Genesys asked for, at once, and without a call until it is over.
pub async fn genesys_rate_limited(launch: &impl Launch) {
    let host = launch.start(&[]).await;
    let rest = Effect::Status { code: 429, retry_after: Some("2".to_owned()), body: None };
    host.sim.fault(Fault::once(On::Create, rest));
    let fingerprint = device();
    let request = crate::host::issue(&fingerprint);
    // The first waits, since the rest fits into its deadline.
    let (first, ()) = tokio::join!(host.send(&request), async {
        crate::real_time::eventually("the 429", ms(3000), async || {
            (figure(&host, "gauges", "coolDownSeconds").await > 0).then_some(())
        })
        .await;
        let creates = host.sim.count(CallKind::Create);
        let problem = host.issue(&device()).await.problem(503, "genesys_rate_limited");
        assert!(problem.retry_after.is_some_and(|seconds| (1..=2).contains(&seconds)));
        assert_eq!(host.sim.count(CallKind::Create), creates);
    });
    let _ = Session::of(&first);
    let calls = host.sim.calls_of(CallKind::Create);
    let [limited, granted] = &calls[..] else { panic!("{} creates", calls.len()) };
    assert!(granted.at_ms >= limited.at_ms + 2000, "{} ms", granted.at_ms - limited.at_ms);
}

/// A redirect could carry the client's secret or the access token elsewhere: it is an answer like any other, and
/// not followed.
pub async fn no_redirect_of_genesys_is_followed(launch: &impl Launch) {
    for (from, kind) in
        [("GENESYS_API_URL", CallKind::Create), ("GENESYS_LOGIN_URL", CallKind::Token)]
    {
        not_followed(launch, from, kind).await;
    }
}

async fn not_followed(launch: &impl Launch, from: &str, kind: CallKind) {
    let sim = start_sim(SimConfig::default()).await;
    let target: Arc<str> = sim.url().into();
    let elsewhere = handle_each(move |client| redirect(client, target.clone())).await;
    let elsewhere = format!("http://{elsewhere}");
    let host = launch.start_before(sim, &[(from, &elsewhere)]).await;
    let problem = host.issue(&device()).await.problem(502, "genesys_failed");
    assert!(problem.detail.contains("307"), "{}", problem.detail);
    assert_eq!(host.sim.count(kind), 0, "the redirect of {from} was followed");
}

/// Answers one request with the same path at `target`.
async fn redirect(mut client: TcpStream, target: Arc<str>) {
    let mut seen = [0; 4096];
    let length = client.read(&mut seen).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&seen[..length]);
    let path = text.split(' ').nth(1).unwrap_or("/");
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let _ = client.write_all(answer.as_bytes()).await;
}

//! A raw HTTP/1.1 client that tells a reset from a close, a cut and a silence.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use genesys_sim::{Sim, SimConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const GUESTS: &str = "/api/v2/conversations/messaging/guests";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";
/// `sim-client:sim-secret`
pub(crate) const BASIC: &str = "Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0";

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a complete Genesys error with that status and code.
    #[track_caller]
    pub(crate) fn assert_genesys_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json();
        assert_eq!(error["code"], code);
        assert_eq!(error["status"], status);
        assert!(error["message"].is_string());
        assert_eq!(error["details"], serde_json::json!([]));
        assert_eq!(error["errors"], serde_json::json!([]));
        assert_eq!(error["contextId"].as_str(), self.header("ININ-Correlation-Id"));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// How an exchange can fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Refused,
    Reset,
    Closed,
    Cut { got: usize, promised: usize },
    Silent,
}

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to tell that no answer is coming.
const SILENCE: Duration = Duration::from_millis(400);

pub(crate) async fn start() -> Sim {
    start_with(SimConfig::default()).await
}

pub(crate) async fn start_with(config: SimConfig) -> Sim {
    Sim::start(config, ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

/// One request on a connection of its own.
pub(crate) async fn call(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Reply, Broken> {
    let mut stream = TcpStream::connect(addr).await.map_err(broken)?;
    within(PATIENCE, exchange(&mut stream, method, path, headers, body)).await
}

/// One request on a connection that is there.
pub(crate) async fn exchange(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Reply, Broken> {
    send(stream, method, path, headers, body).await?;
    read(stream).await
}

pub(crate) async fn send(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(), Broken> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.map_err(broken)
}

async fn read(stream: &mut TcpStream) -> Result<Reply, Broken> {
    let mut got = Vec::new();
    let head_end = loop {
        if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut got).await.map_err(broken)? == 0 {
            return Err(Broken::Closed);
        }
    };
    let mut reply = Reply {
        status: 0,
        head: String::from_utf8_lossy(&got[..head_end]).into_owned(),
        body: String::new(),
    };
    reply.status = reply.head[9..12].parse().expect("a status");
    let promised =
        reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    while got.len() < head_end + promised {
        if stream.read_buf(&mut got).await.map_err(broken)? == 0 {
            let got = got.len() - head_end;
            return Err(Broken::Cut { got, promised });
        }
    }
    reply.body = String::from_utf8_lossy(&got[head_end..]).into_owned();
    Ok(reply)
}

fn broken(error: std::io::Error) -> Broken {
    match error.kind() {
        ErrorKind::ConnectionRefused => Broken::Refused,
        ErrorKind::ConnectionReset => Broken::Reset,
        ErrorKind::BrokenPipe => Broken::Closed,
        _ => panic!("{error}"),
    }
}

/// Asserts that no answer comes for [`SILENCE`], and then goes away.
pub(crate) async fn assert_silent(work: impl Future<Output = Result<Reply, Broken>>) {
    assert_eq!(within(SILENCE, work).await.unwrap_err(), Broken::Silent);
}

#[expect(
    clippy::disallowed_methods,
    reason = "these tests watch a real clock through real sockets"
)]
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    tokio::time::timeout(patience, work).await.unwrap_or(Err(Broken::Silent))
}

#[expect(
    clippy::disallowed_methods,
    reason = "these tests watch a real clock through real sockets"
)]
pub(crate) async fn wait_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The calls a well-behaved client makes.
pub(crate) async fn ask_token(sim: &Sim, form: &str) -> Result<Reply, Broken> {
    let headers = [("Authorization", BASIC), ("Content-Type", FORM)];
    call(sim.addr(), "POST", "/oauth/token", &headers, form).await
}

pub(crate) async fn token(sim: &Sim) -> String {
    let reply = ask_token(sim, "grant_type=client_credentials").await;
    let reply = reply.expect("an answer").json();
    reply["access_token"].as_str().expect("a token").to_owned()
}

pub(crate) async fn create(sim: &Sim, token: &str, body: &str) -> Result<Reply, Broken> {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", JSON),
        ("User-Agent", "guestpass/test"),
    ];
    call(sim.addr(), "POST", GUESTS, &headers, body).await
}

pub(crate) async fn created_id(sim: &Sim, token: &str) -> String {
    let reply = create(sim, token, "{}").await.expect("an answer");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

pub(crate) async fn invalidate(sim: &Sim, token: &str, id: &str) -> Result<Reply, Broken> {
    let bearer = format!("Bearer {token}");
    let path = format!("{GUESTS}/{id}/invalidate");
    let headers = [("Authorization", bearer.as_str())];
    call(sim.addr(), "POST", &path, &headers, "").await
}

/// An admin call.
pub(crate) async fn admin(addr: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    call(addr, method, path, &[], body).await.expect("an answer")
}

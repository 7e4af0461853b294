//! Requests as bytes, however odd, and what comes back for them.

use std::net::SocketAddr;

use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::wait::{ms, within};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Longer requests are told apart by their lengths, in characters.
const LONGEST_LABEL: usize = 300;

/// One request of the corpus. `{guest}` and `{token}` in it stand for the session that the host issued last,
/// `{guest0}` and `{token0}` for the first one.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// What the table of differences calls it: the request as it is sent, cut to a line.
    pub(crate) label: String,
    pub(crate) bytes: Vec<u8>,
}

impl From<Request> for Case {
    fn from(request: Request) -> Self {
        Self::raw(request.bytes())
    }
}

impl Case {
    /// Bytes that need not be HTTP.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        let shown = bytes.escape_ascii().to_string();
        let shown = shown.replace(r"Host: guestpass.test\r\nConnection: close\r\n", "");
        let label = match shown.char_indices().nth(LONGEST_LABEL) {
            Some((cut, _)) => format!("{}… {} bytes", &shown[..cut], bytes.len()),
            None => shown,
        };
        Self { label, bytes }
    }

    /// Sends it.
    pub(crate) async fn send(&self, to: SocketAddr, names: &[(&str, &str)]) -> Outcome {
        let mut bytes = self.bytes.clone();
        for (name, value) in names {
            bytes = replaced(&bytes, name.as_bytes(), value.as_bytes());
        }
        let mut stream = TcpStream::connect(to).await.expect("the host listens");
        stream.set_nodelay(true).expect("a socket option");
        // A server may answer and close before it has read everything.
        let _ = stream.write_all(&bytes).await;
        match within(ms(20_000), Reply::read(stream, bytes.starts_with(b"HEAD "))).await {
            Some(Ok(reply)) => Outcome::Answer(reply),
            Some(Err(_)) => Outcome::Closed,
            None => Outcome::Silence,
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Answer(Reply),
    /// The connection ended without an answer.
    Closed,
    /// Neither an answer nor an end.
    Silence,
}

fn replaced(bytes: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value);
        rest = &rest[at + name.len()..];
    }
    out.extend_from_slice(rest);
    out
}

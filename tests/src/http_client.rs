//! A raw HTTP/1.1 client that sends what it is told, however odd, and reads all of the answer. One
//! connection a request, except for loads; nothing is normalized, retried or followed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use guestpass_core::seams::HttpSend as _;
use guestpass_server::http_client::HttpClient;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::openapi;
use crate::wait::within;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: None }
    }

    /// With one more header, even if it has that one already.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// With a body and its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// With a body that is said to be JSON.
    #[must_use]
    pub fn json(self, body: impl AsRef<[u8]>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// The request as it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        bytes.extend_from_slice(b"Host: guestpass.test\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() || self.method == "POST" {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        [&bytes, &b"\r\n"[..], body].concat()
    }

    /// Sends it and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn send(&self, to: SocketAddr) -> Reply {
        let sent = self.try_send(to).await;
        sent.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// When the connection cannot be made or breaks, or no answer comes in time.
    pub async fn try_send(&self, to: SocketAddr) -> io::Result<Reply> {
        let exchange = async {
            let mut stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            // A server may answer and close before it has read everything.
            let written = stream.write_all(&self.bytes()).await;
            match Reply::read(stream, self.method == "HEAD").await {
                Ok(reply) => {
                    openapi::check(&self.method, &self.target, &reply);
                    Ok(reply)
                }
                Err(error) => written.and(Err(error)),
            }
        };
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        within(PATIENCE, exchange).await.unwrap_or_else(|| Err(slow()))
    }

    /// Sends it over connections that are kept for the next one, for loads; `None` when the connection cannot
    /// be made or breaks, or no answer comes in time.
    ///
    /// # Panics
    /// When the request or the answer cannot be put into words of HTTP.
    pub async fn try_send_over(&self, client: &HttpClient, to: SocketAddr) -> Option<Reply> {
        let uri = format!("http://{to}{}", self.target);
        let mut request = http::Request::builder().method(&*self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, &value[..]);
        }
        let body = self.body.clone().unwrap_or_default();
        let request = request.body(body.into()).expect("a request");
        let answer = within(PATIENCE, client.send(request)).await?.ok()?;
        let headers = answer.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), value.to_str().expect("headers are text").to_owned())
        });
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        Some(Reply { status, headers, body: answer.body().to_vec() })
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// All headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads one answer; interim ones are passed over.
    ///
    /// # Errors
    /// When the connection breaks first, or what comes is no answer.
    pub async fn read(stream: TcpStream, is_head: bool) -> io::Result<Self> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut reply = Self::read_head(&mut stream).await?;
            if (100..200).contains(&reply.status) {
                continue;
            }
            if !(is_head || matches!(reply.status, 204 | 304)) {
                reply.body = reply.read_body(&mut stream).await?;
            }
            return Ok(reply);
        }
    }

    async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let line = read_line(stream).await?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken("no status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(stream).await?;
            if line.is_empty() {
                return Ok(Self { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("no header line"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn read_body(&self, stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some() {
            loop {
                let size = read_line(stream).await?;
                let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
                let size = size.map_err(|_| broken("no chunk size"))?;
                let mut chunk = vec![0; size];
                stream.read_exact(&mut chunk).await?;
                read_line(stream).await?;
                if size == 0 {
                    return Ok(body);
                }
                body.extend_from_slice(&chunk);
            }
        }
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().map_err(|_| broken("no length"))?, 0);
            stream.read_exact(&mut body).await?;
        } else {
            stream.read_to_end(&mut body).await?;
        }
        Ok(body)
    }

    /// A header's value, if the answer has it.
    ///
    /// # Panics
    /// When it has it more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice in {:?}", self.headers);
        first
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON, which its `Content-Type` must say.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the status, for a success; answers the same.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{:?} {}",
            self.headers,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// The body as a problem with this status and code, checked against the contract of all problems.
    ///
    /// # Panics
    /// When the answer is not that.
    #[must_use]
    pub fn problem(&self, status: u16, code: &str) -> Problem {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body: Value = serde_json::from_slice(&self.body).expect("a problem is JSON");
        let fields: Vec<_> = body.as_object().expect("a problem is an object").keys().collect();
        for field in &fields {
            let known =
                ["type", "title", "status", "detail", "code", "requestId", "retryAfterSeconds"];
            assert!(known.contains(&field.as_str()), "{field} is not a field of problems");
        }
        let text = |field: &str| {
            let text = body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}"));
            assert!(!text.is_empty(), "{field} is empty in {body}");
            text.to_owned()
        };
        assert!(text("type").contains(code), "type must name the code: {body}");
        assert!(!text("title").is_empty());
        assert_eq!(text("code"), code);
        assert_eq!(body["status"], status);
        assert_eq!(Some(text("requestId").as_str()), self.header("x-request-id"));
        let retry_after = self.header("retry-after").map(|seconds| {
            seconds.parse::<u64>().unwrap_or_else(|_| panic!("Retry-After: {seconds}"))
        });
        assert_eq!(body["retryAfterSeconds"].as_u64(), retry_after, "{body}");
        Problem { detail: text("detail"), retry_after }
    }
}

/// What varies between problems of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub detail: String,
    /// Seconds until it is worth trying again.
    pub retry_after: Option<u64>,
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(broken("the connection ended"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

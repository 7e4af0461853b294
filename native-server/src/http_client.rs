//! The one HTTP client of this process: how its connections are made, kept and bounded, and what its faults
//! mean. hyper's client is used as it is: what reqwest adds for a browser's needs costs more than the call.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use guestpass_core::seams::{HttpFault, HttpSend, MAX_REPLY_BYTES};
use http::header::{ACCEPT, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tower_service::Service;

use crate::clock::within;

/// The longest that connecting may take, name resolution and TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Shorter than what load balancers commonly keep (60 s), so that a
/// request rarely meets a connection that the other side is just closing.
const IDLE_LIMIT: Duration = Duration::from_secs(50);

/// Connections kept to one host. As many as can be in use at once after a burst would be waste.
const IDLE_CONNECTIONS: usize = 256;

/// When and how often a silent connection is probed, and how long sent bytes may stay unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(30);

/// Makes `rustls` use ring in the whole process: for Genesys and for Redis over TLS.
pub fn install_crypto() {
    // An error means that one is installed already; the first one stays, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client. It goes to no proxy, follows no redirect (one could carry credentials to another host) and
/// repeats nothing but what certainly never left this machine. Clones share its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<InTime<HttpsConnector<HttpConnector>>, Full<Bytes>>,
}

impl HttpClient {
    /// Builds the client.
    ///
    /// # Errors
    /// When TLS cannot be set up: usually no root certificates on this machine.
    pub fn new() -> Result<Self, String> {
        install_crypto();
        let mut tls = ClientConfig::builder()
            .with_platform_verifier()
            .map_err(|error| error.to_string())?
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = HttpConnector::new();
        // TLS is made on top of it.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT));
        #[expect(clippy::disallowed_methods, reason = "this is the HttpSend seam")]
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(InTime(HttpsConnector::from((tcp, tls))));
        Ok(Self { client })
    }
}

impl HttpSend for HttpClient {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let response = self.client.request(request.map(Full::new)).await;
        let (head, body) = response.map_err(|error| fault(&error))?.into_parts();
        Ok(Response::from_parts(head, read(body).await?))
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, HttpFault> {
    // Most answers come in one piece, which is then not copied.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpFault::Broken(innermost(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.len().max(whole.len());
        if so_far.saturating_add(data.len()) > MAX_REPLY_BYTES {
            return Err(HttpFault::Broken("a longer answer than is read".to_owned()));
        }
        if so_far == 0 {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn fault(error: &legacy::Error) -> HttpFault {
    // hyper cancels only what it has not begun to write: the connection had closed by then.
    let is_unwritten = causes(error)
        .any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled));
    if error.is_connect() || is_unwritten {
        HttpFault::NotSent(innermost(error))
    } else {
        HttpFault::Broken(innermost(error))
    }
}

/// An error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// The innermost cause of an error, in at most 160 characters. None names a URL.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string().chars().take(160).collect()
}

/// Connects within [`CONNECT_LIMIT`].
#[derive(Debug, Clone)]
struct InTime<C>(C);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            within(CONNECT_LIMIT, connecting)
                .await
                .unwrap_or_else(|| Err("connecting took too long".into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Takes one connection, reads some of a request, says `answer`, and closes it.
    fn serve_once(answer: Vec<u8>) -> (String, JoinHandle<TcpListener>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            assert!(socket.read(&mut [0; 4096]).expect("a request") > 0);
            // The other side may have enough of it before it is all written.
            let _ = socket.write_all(&answer);
            listener
        });
        (url, server)
    }

    /// How many more connections the server was offered.
    fn more_connections(server: JoinHandle<TcpListener>) -> usize {
        let listener = server.join().expect("no panic");
        listener.set_nonblocking(true).expect("it can");
        listener.incoming().take_while(Result::is_ok).count()
    }

    async fn send(url: &str) -> Result<Response<Bytes>, HttpFault> {
        let request = Request::post(url).body(Bytes::from_static(b"{}")).expect("that is one");
        HttpClient::new().expect("TLS can be set up").send(request).await
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let answer = "HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
        let (url, server) = serve_once(answer.into());
        assert_eq!(send(&url).await.expect("an answer").status(), 307);
        assert_eq!(more_connections(server), 0);
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_up_to_its_bound() {
        for (length, is_read) in [(MAX_REPLY_BYTES, true), (MAX_REPLY_BYTES + 1, false)] {
            let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for piece in vec![b'x'; length].chunks(100_000) {
                answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                answer.extend_from_slice(piece);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
            let (url, server) = serve_once(answer);
            match send(&url).await {
                Ok(response) => assert!(is_read && response.body().len() == length),
                Err(fault) => assert!(!is_read && matches!(fault, HttpFault::Broken(_)), "{fault}"),
            }
            assert_eq!(more_connections(server), 0);
        }
    }

    #[tokio::test]
    async fn a_connection_that_breaks_without_an_answer_may_have_carried_the_request() {
        for partial in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"] {
            let (url, server) = serve_once(partial.into());
            let fault = send(&url).await.expect_err("no whole answer");
            assert!(matches!(fault, HttpFault::Broken(_)), "{fault}");
            assert_eq!(more_connections(server), 0);
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_refused_has_carried_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        drop(listener);
        let fault = send(&url).await.expect_err("nobody listens");
        assert!(matches!(fault, HttpFault::NotSent(_)), "{fault}");
        assert!(!fault.to_string().contains(&url), "{fault}");
    }
}

//! One connection's requests: the body is read, the request is handed over, the answer goes back.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use guestpass_core::seams::{GuestProvider, SessionStore};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::connections::{Membership, Order};
use super::phase::Phase;
use super::stream::Watched;
use crate::client_address::client_address;
use crate::origin::Origin;

/// The longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// How much of a body is read beyond what is handed over, in bytes: so that a client that is still sending gets
/// to see the refusal instead of a broken connection.
const MAX_EXCESS_BYTES: usize = 1 << 20;

/// Serves a connection until either side closes it or it is told to.
pub(super) async fn serve<S, P>(
    origin: Arc<Origin<S, P>>,
    stream: TcpStream,
    peer: IpAddr,
    member: Membership,
) where
    S: SessionStore,
    P: GuestProvider,
{
    let connection = member.connection();
    let service = service_fn(|request| {
        let (origin, connection) = (origin.clone(), connection.clone());
        async move {
            connection.begin_request();
            let (head, body) = request.into_parts();
            let body = read(body, origin.room(&head)).await?;
            connection.begin(Phase::Work);
            let client = client_address(peer, &head.headers, origin.trusts_proxy());
            let response = origin.answer(Request::from_parts(head, body), client).await;
            connection.begin(Phase::Answer);
            Ok::<_, hyper::Error>(response.map(Full::new))
        }
    });
    let io = TokioIo::new(Watched::new(stream, connection.clone()));
    let mut http = http1::Builder::new();
    // Heads and bodies that take too long are cut off by `Connections`.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES).max_header_size(MAX_HEAD_BYTES);
    let mut exchange = pin!(http.serve_connection(io, service));
    loop {
        tokio::select! {
            ended = exchange.as_mut() => {
                if let Err(error) = ended {
                    // The client's business: it went away, or it does not speak HTTP.
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            order = connection.ordered() => match order {
                // Between two requests there is nothing to finish; the next one is told again.
                Order::Finish if connection.is_idle() => {}
                Order::Finish => exchange.as_mut().graceful_shutdown(),
                Order::Drop => return,
            }
        }
    }
}

/// Reads a body, of which only the first `room` bytes are kept.
async fn read(mut body: Incoming, room: usize) -> Result<Bytes, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut whole = BytesMut::new();
    let mut seen: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        let left = room.saturating_sub(whole.len());
        whole.extend_from_slice(&data[..data.len().min(left)]);
        if seen >= room.saturating_add(MAX_EXCESS_BYTES) {
            break;
        }
    }
    Ok(whole.freeze())
}

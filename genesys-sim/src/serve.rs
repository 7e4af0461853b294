//! Sockets: the accept loop, one task per connection, and breaking a connection on request.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::api::Outcome;
use crate::body::AnswerBody;
use crate::clock::sleep_ms;
use crate::state::Shared;
use crate::{admin, api};

/// Accepts connections until `stop` changes or loses its sender.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: watch::Receiver<()>) {
    let mut stopped = stop.clone();
    let mut stopped = pin!(stopped.changed());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it an answer is only slower.
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(stream, shared.clone(), stop.clone()));
            }
            // Out of file descriptors, mostly: give the others time to close theirs.
            Err(_) => sleep_ms(10).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (shared, reset) = (shared.clone(), reset.clone());
        async move { Ok::<_, Infallible>(respond(shared, &reset, request).await) }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = reset.notified() => {
            // With no lingering, closing sends RST. If that cannot be set, an abrupt end must do.
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
        _ = stop.changed() => {}
        // An error here is the client's business: it went away, or a cut was asked for.
        _ = &mut connection => {}
    }
}

async fn respond(
    shared: Arc<Shared>,
    reset: &Notify,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    if request.uri().path().starts_with("/sim/") {
        return admin::serve(shared, request).await.map(AnswerBody::whole);
    }
    match api::serve(shared, request).await {
        Outcome::Answer(response) => response,
        Outcome::Reset => {
            reset.notify_one();
            pending().await
        }
        // Until the client goes or the simulator stops; both drop this connection.
        Outcome::Hang => pending().await,
    }
}

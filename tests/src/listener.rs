//! Servers of the tests that speak no HTTP of ours: what comes to a free port is handed to a function.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Handles each connection by a task of its own, as long as the runtime lasts; answers where it listens.
///
/// # Panics
/// When no port is free.
pub async fn handle_each<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(handle(client));
        }
    });
    addr
}

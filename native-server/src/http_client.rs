//! The one HTTP client of this process: how its connections are made, kept and bounded.

use std::time::Duration;

use reqwest::redirect::Policy;

/// The longest that connecting may take, name resolution and TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Shorter than what load balancers commonly keep (60 s), so that a
/// request rarely meets a connection that the other side is just closing.
const IDLE_LIMIT: Duration = Duration::from_secs(50);

/// Connections kept to one host. As many as can be in use at once after a burst would be waste.
const IDLE_CONNECTIONS: usize = 256;

/// Makes `rustls` use ring in the whole process: for Genesys and for Redis over TLS.
pub fn install_crypto() {
    // An error means that one is installed already; the first one stays, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Builds the client. `deadline` is the longest that a request may take by the rules; the client's own limit
/// is a backstop above it.
///
/// # Errors
/// When TLS cannot be set up: usually no root certificates on this machine.
pub fn build(deadline: Duration) -> Result<reqwest::Client, String> {
    install_crypto();
    let client = reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(15))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(deadline.saturating_add(Duration::from_secs(5)))
        .pool_idle_timeout(IDLE_LIMIT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        // A redirect could carry credentials to another host.
        .redirect(Policy::none())
        .referer(false)
        // Repeating a call is the rules' decision.
        .retry(reqwest::retry::never())
        .no_proxy();
    client.build().map_err(|error| describe(&error))
}

/// An error and its causes in one line. Errors of building hold no URL.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_can_be_built_more_than_once() {
        assert!(build(Duration::from_secs(1)).is_ok());
        assert!(build(Duration::from_secs(1)).is_ok());
    }
}

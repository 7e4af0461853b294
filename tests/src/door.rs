//! The REST door of an origin, for whatever reaches its Redis by the Upstash REST protocol.

use std::net::SocketAddr;

use genesys_sim::Sim;
use guestpass_core::secret::Secret;
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use guestpass_server::clock::SystemClock;
use guestpass_server::http_client::HttpClient;

use crate::origin::{Origin, start_pair};

/// The token that opens the doors of the tests.
pub const DOOR_TOKEN: &str = "a-token-of-the-door";

/// A store behind a door, as at the edge.
pub type RestStore = RedisStore<UpstashKv<HttpClient, SystemClock>>;

/// An origin that does nothing but open a Redis to REST callers, until this is dropped.
pub struct Door {
    /// Where it is.
    pub url: String,
    _servers: (Sim, Origin),
}

impl Door {
    /// Opens this Redis, which the origin takes to have so many shards. The door is as it is by default.
    pub async fn open(redis_url: &str, shards: &str) -> Self {
        let settings = [
            ("REDIS_URL", redis_url),
            ("REDIS_SHARDS", shards),
            ("REDIS_REST_TOKEN", DOOR_TOKEN),
            // Nothing of the tests is the origin's to sweep.
            ("REDIS_KEY_PREFIX", "door:"),
            ("SWEEP_INTERVAL_MS", "3600000"),
        ];
        let (sim, origin) = start_pair(&settings).await;
        Self { url: door_url(origin.addr), _servers: (sim, origin) }
    }

    /// A store behind it.
    ///
    /// # Panics
    /// When the token is none.
    #[must_use]
    pub fn store(&self, client: HttpClient, prefix: &str, shards: u32) -> RestStore {
        let kv = UpstashKv::new(client, SystemClock, self.url.clone(), &Secret::new(DOOR_TOKEN));
        RedisStore::new(kv.expect("a token"), Keys::new(prefix, shards))
    }
}

/// The door's URL at an origin.
#[must_use]
pub fn door_url(origin: SocketAddr) -> String {
    format!("http://{origin}/redis")
}

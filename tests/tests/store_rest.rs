//! Every behaviour, over the Upstash REST protocol: the store of the edge, against the door of a running
//! `guestpass serve`, in front of one Redis and in front of a Cluster. The door is as it is by default.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guestpass_core::secret::Secret;
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_core::store::upstash::UpstashKv;
use guestpass_server::clock::SystemClock;
use guestpass_server::http_client;
use guestpass_tests::origin::start_pair;
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::RedisServer;
use tokio::sync::OnceCell;

type TestStore = RedisStore<UpstashKv<reqwest::Client, SystemClock>>;

const TOKEN: &str = "a-token-of-the-tests";

/// Starts an origin with a door in front of this Redis; it ends with this process. Answers the door's URL.
async fn open_door(redis_url: &str, shards: &str) -> String {
    let settings = [
        ("REDIS_URL", redis_url),
        ("REDIS_SHARDS", shards),
        ("REDIS_REST_TOKEN", TOKEN),
        // Only the suite uses this Redis.
        ("SWEEP_INTERVAL_MS", "3600000"),
    ];
    let (sim, origin) = start_pair(&settings).await;
    let url = format!("http://{}/redis", origin.addr);
    std::mem::forget((sim, origin));
    url
}

fn store(url: &str, shards: u32) -> TestStore {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let client = http_client::build(Duration::from_secs(10)).expect("TLS can be set up");
    let token = Secret::new(TOKEN);
    let kv = UpstashKv::new(client, SystemClock, url.to_owned(), &token).expect("a token");
    let prefix = format!("test{}:", MADE.fetch_add(1, Ordering::Relaxed));
    RedisStore::new(kv, Keys::new(&prefix, shards))
}

mod one_server {
    use super::*;

    async fn fresh() -> TestStore {
        static SERVER: OnceLock<RedisServer> = OnceLock::new();
        static DOOR: OnceCell<String> = OnceCell::const_new();
        let server = SERVER.get_or_init(RedisServer::start);
        store(DOOR.get_or_init(|| async { open_door(&server.url(), "1").await }).await, 1)
    }

    guestpass_tests::store_suite!(fresh);
}

mod cluster {
    use super::*;

    async fn fresh() -> TestStore {
        static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
        static DOOR: OnceCell<String> = OnceCell::const_new();
        let cluster = CLUSTER.get_or_init(RedisCluster::start);
        store(DOOR.get_or_init(|| async { open_door(&cluster.url(), "8").await }).await, 8)
    }

    guestpass_tests::store_suite!(fresh);
}

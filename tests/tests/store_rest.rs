//! Every behaviour, over the Upstash REST protocol: the store of the edge, against the door of a running
//! `guestpass serve`, in front of one Redis and in front of a Cluster. The door is as it is by default.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use guestpass_server::http_client::HttpClient;
use guestpass_tests::door::{Door, RestStore};
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::RedisServer;
use tokio::sync::OnceCell;

/// A store of its own behind this door, with a client of this test's runtime.
fn store(door: &Door, shards: u32) -> RestStore {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let client = HttpClient::new().expect("TLS can be set up");
    let prefix = format!("test{}:", MADE.fetch_add(1, Ordering::Relaxed));
    door.store(client, &prefix, shards)
}

mod one_server {
    use super::*;

    async fn fresh() -> RestStore {
        static SERVER: OnceLock<RedisServer> = OnceLock::new();
        static DOOR: OnceCell<Door> = OnceCell::const_new();
        let server = SERVER.get_or_init(RedisServer::start);
        store(DOOR.get_or_init(async || Door::open(&server.url(), "1").await).await, 1)
    }

    guestpass_tests::store_suite!(fresh);
}

mod cluster {
    use super::*;

    async fn fresh() -> RestStore {
        static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
        static DOOR: OnceCell<Door> = OnceCell::const_new();
        let cluster = CLUSTER.get_or_init(RedisCluster::start);
        store(DOOR.get_or_init(async || Door::open(&cluster.url(), "8").await).await, 8)
    }

    guestpass_tests::store_suite!(fresh);
}

//! Every behaviour, over a Redis Cluster of three masters and eight shards: no script touches a key that
//! is not in its KEYS, and what is global is one whole.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::redis_cluster::RedisCluster;

async fn fresh() -> RedisStore<RedisKv> {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    static MADE: AtomicU32 = AtomicU32::new(0);
    let cluster = CLUSTER.get_or_init(RedisCluster::start);
    let kv = RedisKv::new(&cluster.target()).expect("valid URLs");
    RedisStore::new(kv, Keys::new(&format!("test{}:", MADE.fetch_add(1, Ordering::Relaxed)), 8))
}

guestpass_tests::store_suite!(fresh);

//! All stores are one: the same random histories get the same answers and leave the same state in memory, in
//! Redis, in a Cluster and behind the REST door, whatever the interleaving, the clocks, the limits, the order of
//! the clients' keys and the repetitions.

mod drive;
mod history;
mod words;

use std::sync::atomic::{AtomicU32, Ordering};

use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::http_client::HttpClient;
use guestpass_server::kv::RedisKv;
use guestpass_tests::door::Door;
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::RedisServer;
use proptest::collection::vec;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::drive::{Named, Shards, Store};

const REGRESSIONS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/store_equivalence.txt");

/// Histories that are tried, unless `PROPTEST_CASES` says another number.
const CASES: u32 = 24;
const CASES_OF_SHARDS: u32 = 8;

fn config(cases: u32) -> Config {
    let mut config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

/// Tries histories on the embedded store and on the stores that there are under a prefix.
fn run(runtime: &Runtime, shards: Shards, cases: u32, stores: impl Fn(&str) -> Vec<Named>) {
    let made = AtomicU32::new(0);
    let histories = vec(history::step(), 1..60);
    let outcome = TestRunner::new(config(cases)).run(&histories, |history| {
        let prefix = format!("eq{}:", made.fetch_add(1, Ordering::Relaxed));
        let mut all =
            vec![Named { name: "embedded", store: Store::Embedded(EmbeddedStore::new()) }];
        all.extend(stores(&prefix));
        runtime.block_on(drive::compare(&all, shards, &history))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn redis(name: &'static str, kv: &RedisKv, prefix: &str, shards: u32) -> Named {
    let store = RedisStore::new(kv.clone(), Keys::new(prefix, shards));
    Named { name, store: Store::Redis(store) }
}

fn rest(
    name: &'static str,
    (door, client): &(Door, HttpClient),
    prefix: &str,
    shards: u32,
) -> Named {
    let store = door.store(client.clone(), &format!("rest-{prefix}"), shards);
    Named { name, store: Store::Rest(store) }
}

async fn open_door(redis_url: &str, shards: &str) -> (Door, HttpClient) {
    let client = HttpClient::new().expect("TLS can be set up");
    (Door::open(redis_url, shards).await, client)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn the_stores_answer_alike_whatever_happens() {
    let server = RedisServer::start();
    let runtime = runtime();
    let _entered = runtime.enter();
    let door = runtime.block_on(open_door(&server.url(), "1"));
    let kv = RedisKv::new(&server.target()).expect("a valid URL");
    run(&runtime, Shards::One, CASES, |prefix| {
        vec![redis("redis", &kv, prefix, 1), rest("rest", &door, prefix, 1)]
    });
}

#[test]
fn stores_of_several_shards_answer_like_one() {
    let cluster = RedisCluster::start();
    let runtime = runtime();
    let _entered = runtime.enter();
    let door = runtime.block_on(open_door(&cluster.url(), "4"));
    let kv = RedisKv::new(&cluster.target()).expect("valid URLs");
    run(&runtime, Shards::Several, CASES_OF_SHARDS, |prefix| {
        vec![redis("cluster", &kv, prefix, 4), rest("rest on the cluster", &door, prefix, 4)]
    });
}

//! Both stores are one: the same random histories get the same answers and leave the same state, whatever
//! the interleaving, the clocks, the limits and the repetitions.

mod drive;
mod history;

use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::redis_server::RedisServer;
use proptest::collection::vec;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

const REGRESSIONS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/store_equivalence.txt");

/// Histories that are tried, unless `PROPTEST_CASES` says another number.
const CASES: u32 = 64;

fn config() -> Config {
    let mut config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config
}

#[test]
fn the_stores_answer_alike_whatever_happens() {
    let server = RedisServer::start();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let store =
        RedisStore::new(RedisKv::new(&server.target()).expect("a valid URL"), Keys::new("eq:", 1));
    let histories = vec(history::step(), 1..60);
    let outcome = TestRunner::new(config()).run(&histories, |history| {
        server.query::<()>(&["FLUSHALL"]);
        runtime.block_on(drive::compare(&EmbeddedStore::new(), &store, &history))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

//! One server for all the tests of this binary, and stores of their own in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::redis_server::RedisServer;
use redis::{FromRedisValue, ToRedisArgs};

pub(crate) type TestStore = RedisStore<RedisKv>;

/// A store whose keys no other test has.
pub(crate) struct Fresh {
    pub(crate) store: TestStore,
    prefix: String,
}

impl Fresh {
    /// A key under the store's prefix: `device-a`, `device-a:flight`, `:outbox`.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs a command on a key under the store's prefix.
    #[track_caller]
    pub(crate) fn redis<T: FromRedisValue>(
        &self,
        command: &str,
        name: &str,
        args: &[impl ToRedisArgs],
    ) -> T {
        let mut parts = vec![command.as_bytes().to_vec(), self.key(name).into_bytes()];
        parts.extend(args.iter().flat_map(ToRedisArgs::to_redis_args));
        server().query(&parts)
    }

    /// Runs a command on a key under the store's prefix, without further arguments.
    #[track_caller]
    pub(crate) fn read<T: FromRedisValue>(&self, command: &str, name: &str) -> T {
        self.redis(command, name, &[] as &[&str])
    }

    /// All keys under the store's prefix, without it, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys: Vec<String> = server().query(&["KEYS", &format!("{}*", self.prefix)]);
        let mut keys: Vec<_> = keys.iter().map(|key| key[self.prefix.len()..].to_owned()).collect();
        keys.sort_unstable();
        keys
    }
}

/// The server that the tests share. It ends with this process.
pub(crate) fn server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(RedisServer::start)
}

pub(crate) async fn fresh_store() -> Fresh {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test{}:", MADE.fetch_add(1, Ordering::Relaxed));
    let kv = RedisKv::new(&server().target()).expect("a valid URL");
    Fresh { store: RedisStore::new(kv, Keys::new(&prefix, 1)), prefix }
}

//! What happens when Redis fails: full, read-only, killed, frozen, cut off. Faults are told in time,
//! nothing is half done, and the same client recovers.

mod cluster;
mod full;
mod lost;
mod read_only;

use guestpass_core::seams::{SessionStore as _, StoreFault};
use guestpass_core::store::ops::{Admission, Admit};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::scene::{Scene, device};

type TestStore = RedisStore<RedisKv>;

fn store_on(server: &RedisServer) -> TestStore {
    RedisStore::new(RedisKv::new(&server.target()).expect("a valid URL"), Keys::new("faults:", 1))
}

async fn try_admit(s: &Scene<'_, TestStore>, name: &str) -> Result<Admission, StoreFault> {
    let (device, flight) = (device(name), s.flight());
    let admit = Admit { device: &device, flight: &flight, idempotency: None, address_hash: None };
    s.store.admit(s.at(), &admit).await
}

const fn is_refused<T>(result: &Result<T, StoreFault>) -> bool {
    matches!(result, Err(StoreFault::Refused(_)))
}

const fn is_gone<T>(result: &Result<T, StoreFault>) -> bool {
    matches!(result, Err(StoreFault::Lost(_) | StoreFault::Unreachable(_)))
}

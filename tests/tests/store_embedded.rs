//! Every behaviour, over the store in memory.

use guestpass_core::store::embedded::EmbeddedStore;

async fn fresh() -> EmbeddedStore {
    EmbeddedStore::new()
}

guestpass_tests::store_suite!(fresh);

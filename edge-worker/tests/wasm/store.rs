//! Every behaviour of a store, over the embedded one. The files are those that the native tests mount.

use guestpass_core::store::embedded::EmbeddedStore;

async fn fresh() -> EmbeddedStore {
    EmbeddedStore::new()
}

crate::store_suite!(fresh);

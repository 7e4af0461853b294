//! Every behaviour over a real Redis, and what only Redis can show: its layout, the tutorial's data, and
//! what cannot be read.

mod adoption;
mod garbage;
mod garbage_jobs;
mod layout;
mod round_trips;
mod support;
mod wrong_types;

use support::{TestStore, fresh_store};

async fn fresh() -> TestStore {
    fresh_store().await.store
}

guestpass_tests::store_suite!(fresh);

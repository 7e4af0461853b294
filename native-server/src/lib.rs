//! guestpass at the origin: what the native host adds to the rules of `guestpass-core`.

pub mod clock;
pub mod kv;

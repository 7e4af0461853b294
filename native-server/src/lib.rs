//! guestpass at the origin: what the native host adds to the rules of `guestpass-core`.
//!
//! [`cli`] is the way in for people, [`serve::run`] the one for programs.

pub mod adoption;
pub mod check;
pub mod cli;
pub mod client_address;
pub mod clock;
pub mod dev;
pub mod env;
pub mod http_client;
pub mod kv;
pub mod log_writer;
pub mod logging;
pub mod origin;
pub mod process_metrics;
pub mod rest_door;
pub mod serve;
pub mod server;
pub mod signals;
pub mod sweeper;

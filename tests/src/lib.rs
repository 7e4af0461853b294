//! Test support: the servers that the tests start, and the behaviours that hosts share.

pub mod clock;
pub mod door;
pub mod edge;
pub mod host;
pub mod http_client;
pub mod http_suite;
pub mod listener;
mod openapi;
pub mod origin;
mod process;
pub mod real_time;
pub mod redis_cluster;
pub mod redis_server;
pub mod scene;
pub mod store_suite;
pub mod wait;
pub mod world;

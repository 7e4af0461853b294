//! The promises of the design's section 11, kept by running `guestpass serve` processes over a real Redis.

mod clients;
mod confidential;
mod crash;
mod device;
mod latency;
mod layouts;
mod logs;
mod proxy;
mod rate;
mod tutorial;
mod world;

//! What the simulator promises, one test per behaviour, over raw HTTP/1.1.

mod admin;
mod binary;
mod client;
mod faults;
mod guests;
mod ledger;
mod limits;
mod oauth;

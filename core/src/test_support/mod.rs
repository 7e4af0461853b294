//! What in-process tests stand on: virtual time, a Genesys that answers as told, a store that fails as
//! told, and a subscriber that keeps every log line.

mod clock;
mod genesys;
mod log;
mod store;
mod world;

pub(crate) use clock::{BEGIN, ManualClock, poll_once};
pub(crate) use genesys::{Act, ScriptedHttp, Seen};
pub(crate) use log::captured;
pub(crate) use store::{FaultyStore, Spoil};
pub(crate) use world::{
    BOUNDS, FINGERPRINT, Host, Look, World, config_of, issue, json_of, request,
};

//! An honest Genesys Cloud stand-in: OAuth client credentials, the guests API, rate limits, faults on
//! request, and a ledger of everything that happened. `guestpass dev` and all tests run against it.
//!
//! "Honest" means that it never does better than Genesys would: work that was done stays done when the
//! answer is lost, and the ledger says so.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use genesys_sim::{CallKind, Effect, Fault, On, Sim, SimConfig};
//!
//! let sim = Sim::start(SimConfig::default(), ([127, 0, 0, 1], 0).into()).await?;
//! sim.fault(Fault::once(On::Create, Effect::ResetAfter));
//! println!("{} has seen {} creates", sim.url(), sim.count(CallKind::Create));
//! # Ok(()) }
//! ```

mod admin;
mod api;
mod body;
mod clock;
mod config;
mod errors;
mod fault;
mod guests;
mod ids;
mod ledger;
mod oauth;
mod route;
mod serve;
mod sim;
mod state;

pub use config::{RateLimit, SimConfig};
pub use fault::{Effect, Fault, On};
pub use ledger::{Call, CallKind, Guest};
pub use sim::Sim;

//! Genesys Cloud: the guests API as a [`crate::seams::GuestProvider`], its OAuth client, and how its
//! answers are read.

mod answer;
mod guests;
mod oauth;
#[cfg(test)]
mod tests;

pub use guests::GuestsApi;

/// What every call says of itself.
pub(crate) const USER_AGENT: &str = concat!("guestpass/", env!("CARGO_PKG_VERSION"));

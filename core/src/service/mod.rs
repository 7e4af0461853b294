//! x
pub mod retry;

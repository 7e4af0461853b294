//! The rules under faults, waits and rests, over virtual time.

mod balance;
mod cancelled;
mod costs;
mod drains;
mod early;
mod fault_points;
mod faults;
mod rest;
mod retry;
mod shared_drains;

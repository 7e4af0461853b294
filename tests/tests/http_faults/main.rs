//! Faults of Genesys and of Redis, met by the running binary: what callers are told, what stays as it was,
//! and how it recovers.

mod answers;
mod full;
mod hostile;
mod login;
mod redis;
mod refusals;
mod rests;
mod revocations;

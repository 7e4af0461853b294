//! The two stores. [`embedded`] is the executable specification of [`redis`]; both implement
//! [`crate::seams::SessionStore`] over the shapes in [`ops`].

pub mod echo;
pub mod embedded;
pub mod ops;
pub mod redis;
pub mod script;
pub mod upstash;

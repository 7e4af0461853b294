//! Genesys stand-in.

//! The rules of guestpass.

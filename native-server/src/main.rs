//! The guestpass command.
fn main() {}

//! The command line, as somebody meets it who has nothing but the binary.

mod check;
mod dev;
mod tls;

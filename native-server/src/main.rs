//! The guestpass command.

use std::process::ExitCode;

fn main() -> ExitCode {
    guestpass_server::cli::run()
}

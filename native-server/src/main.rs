//! The guestpass command.

use std::process::ExitCode;

/// A request allocates many times: this allocator takes a tenth off its CPU time. PERFORMANCE.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    guestpass_server::cli::run()
}

//! The command line: what there is to say, and what each command does. Help must suffice without the README.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use guestpass_core::config::{Config, HostKind};
use tokio::runtime::{Builder, Runtime};

use crate::{check, dev, env, http_client, logging, serve};

/// The exit code of bad usage and of a bad configuration.
pub const USAGE: ExitCode = USAGE_CODE.0;

struct Code(ExitCode);
const USAGE_CODE: Code = Code(ExitCode::FAILURE);

/// Hands a website's visitors Genesys Cloud Web Messaging guest tokens, at most N for each device, and
/// revokes every guest that is displaced, ended or expired.
///
/// Everything is configured by environment variables; see the help of each command. To try it without an
/// account, run `guestpass dev`.
#[derive(Debug, Parser)]
#[command(name = "guestpass", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = EXIT_CODES, long_about = SERVE, after_long_help = VARIABLES)]
    Serve,
    /// Run the server with a simulated Genesys: no account, no Redis, no settings needed
    #[command(after_help = EXIT_CODES, long_about = DEV, after_long_help = DEV_VARIABLES)]
    Dev,
    /// Check the configuration, reach Redis and Genesys, and say what is wrong and how to mend it
    #[command(after_help = EXIT_CODES, long_about = CHECK, after_long_help = VARIABLES)]
    Check,
}

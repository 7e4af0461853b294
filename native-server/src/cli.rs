//! The command line: what there is to say, and what each command does. Help must suffice without the README.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use guestpass_core::config::{Config, HostKind};
use tokio::runtime::Builder;

use crate::{check, dev, env, logging, serve};

/// Hands a website's visitors Genesys Cloud Web Messaging guest tokens, at most N for each device, and
/// revokes every guest that is displaced, ended or expired.
///
/// Everything is configured by environment variables: `guestpass serve --help` lists them. To try it without
/// an account, run `guestpass dev`.
#[derive(Debug, Parser)]
#[command(name = "guestpass", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    #[command(long_about = SERVE, after_help = MORE, after_long_help = SERVE_MORE)]
    Serve,
    /// Run the server with a simulated Genesys: no account, no Redis, no settings needed
    #[command(long_about = DEV, after_help = MORE, after_long_help = EXIT_CODES)]
    Dev,
    /// Check the configuration, reach Redis and Genesys, and say what is wrong and how to mend it
    #[command(long_about = CHECK, after_help = MORE, after_long_help = EXIT_CODES)]
    Check,
}

const MORE: &str = "--help says more.";

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 bad usage or configuration";

const SERVE: &str = "\
Run the server until SIGTERM or Ctrl-C. Then it finishes what is under way, within 10 seconds; a second signal
stops it at once. It starts, and answers 503, also while Redis or Genesys cannot be reached. Logs go to standard
output.

The calls it answers are described at /openapi.json. First of all:
  POST /v1/devices/{fingerprint}/sessions   issue a guest token
  GET  /healthz, /readyz                    whether it runs, whether it can reach its store";

const SERVE_MORE: &str = "\
Environment variables, with their defaults. NAME_FILE instead of NAME reads the value from a file.

 Genesys (the first three are required)
  GENESYS_REGION              your organization's domain, such as mypurecloud.com
  GENESYS_CLIENT_ID           OAuth client with grant type client credentials, and a role
  GENESYS_CLIENT_SECRET       that may manage messaging guests
  GENESYS_SCOPES              messaging:guest:manage messaging:guest:view; what to ask for, separated by spaces
  GENESYS_LOGIN_URL, GENESYS_API_URL
                              from the region: https://login.<domain>, https://api.<domain>
  GENESYS_GUESTS_PATH         /api/v2/conversations/messaging/guests; where the guests API is
 Sessions
  MAX_SESSIONS_PER_DEVICE     3; one more evicts the oldest
  SESSION_TTL_SECONDS         3600 without a new session or a renewal, then all of a device's expire
  SESSION_MAX_AGE_SECONDS     0: no bound on one session's life
 Store
  REDIS_URL                   redis://host:port, rediss://host:port (TLS), redis-cluster://host:port,host:port,
                              with user:password@ before the (first) host if need be;
                              unset: in memory, lost with the process
  UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN
                              instead of REDIS_URL: Redis by the Upstash REST protocol
  REDIS_KEY_PREFIX            msg:guest: is what every key begins with
  REDIS_SHARDS                1; 2 or more with a Cluster
  TOKEN_SEALING_KEY           none; 32 bytes in base64 with which tokens are encrypted (openssl rand -base64 32)
  FINGERPRINT_KEY             none; a secret with which fingerprints are hashed. Both may list up to 4 keys,
                              comma-separated: the first writes, all of them read
 Redis for Workers, by the Upstash REST protocol, at /redis
  REDIS_REST_TOKEN            none: closed; the bearer token that opens it (needs REDIS_URL)
  REDIS_REST_COMMANDS         scripts: only what guestpass itself runs; all: every command
 Callers (lists are comma-separated)
  OPERATOR_TOKEN              none: operator calls answer 403; bearer tokens of operators
  ISSUE_KEYS                  none: any site may issue; bearer tokens of sites
  ALLOWED_ORIGINS             none: pages of any origin may issue; origins such as https://www.example.com
  RATE_LIMIT_PER_DEVICE, RATE_LIMIT_PER_IP
                              0: no limit; issues a minute
  TRUST_PROXY                 false; true: the client is the last hop of X-Forwarded-For
 Calls to Genesys
  REQUEST_DEADLINE_MS         15000; longest that a request works on Genesys
  RETRY_MAX_ATTEMPTS          3 tries in all, on 429, 502, 503, 504 and no connection
  RETRY_BASE_DELAY_MS         1000 before the first retry, doubled each time (or Retry-After, if longer),
  RETRY_JITTER_MS             and up to 500 more, at random
  REVOKE_MAX_ATTEMPTS         12 failures, then a revocation is stuck until an operator retries it or gives it up
  REVOKE_LEASE_MS             30000; longest that a sweeper holds a revocation
  SWEEP_INTERVAL_MS           5000 between two sweeps, which expire what is due and revoke what is pending
 Process
  LISTEN_ADDR                 127.0.0.1:8787
  LOG_FORMAT, LOG_LEVEL       text (or json), info (or error, warn, debug, trace)

Example:
  GENESYS_REGION=mypurecloud.com GENESYS_CLIENT_ID=… GENESYS_CLIENT_SECRET_FILE=/run/secrets/genesys \\
  REDIS_URL=redis://127.0.0.1:6379 OPERATOR_TOKEN=… guestpass serve

Exit codes: 0 stopped with nothing left undone; 1 cannot listen, or stopped with work left undone;
2 bad usage or configuration";

const DEV: &str = "\
Run the server for development: with a simulator as Genesys, sessions in memory unless REDIS_URL is set, and an
operator token that it makes unless OPERATOR_TOKEN is set. It prints commands to try. If LISTEN_ADDR is unset and
127.0.0.1:8787 is taken, it chooses a free port.

Every variable of `guestpass serve --help` works, except those that say where Genesys is.

Examples:
  guestpass dev
  MAX_SESSIONS_PER_DEVICE=1 SESSION_TTL_SECONDS=10 LOG_LEVEL=debug guestpass dev";

const CHECK: &str = "\
Check the configuration that `guestpass serve` would run with (its --help lists the variables), then reach Redis
and run a script there, log in to Genesys, and see whether guests may be managed there: it asks to revoke a guest
that does not exist. Nothing is changed anywhere. Each check prints a line that begins with ok, note or failed;
a note is worth a look, a failure says what to do.

Example:
  GENESYS_REGION=mypurecloud.com GENESYS_CLIENT_ID=… GENESYS_CLIENT_SECRET=… guestpass check";

/// The exit code of bad usage and of a bad configuration.
pub(crate) fn usage() -> ExitCode {
    ExitCode::from(2)
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Where nothing can be printed, the exit code must do.
            let _ = error.print();
            return if error.use_stderr() { usage() } else { ExitCode::SUCCESS };
        }
    };
    let config = match &command {
        Command::Dev => Config::parse(HostKind::Dev, &dev::variable),
        Command::Serve | Command::Check => Config::parse(HostKind::Origin, &env::variable),
    };
    let config = match config {
        Ok(config) => config,
        Err(mistakes) => {
            let (count, s) = (mistakes.0.len(), if mistakes.0.len() == 1 { "" } else { "s" });
            eprintln!("guestpass: the configuration has {count} mistake{s}:\n{mistakes}");
            return usage();
        }
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("guestpass: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match command {
            Command::Serve => {
                logging::install(config.log_format, config.log_level);
                serve::command(config).await
            }
            Command::Dev => {
                logging::install(config.log_format, config.log_level);
                dev::command(config).await
            }
            Command::Check => check::command(config).await,
        }
    });
    // A name that is still being resolved must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    logging::flush();
    code
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_variable() {
        let seen = std::cell::RefCell::new(Vec::new());
        let none = |name: &str| {
            seen.borrow_mut().push(name.to_owned());
            Ok(None)
        };
        assert!(Config::parse(HostKind::Origin, &none).is_err());
        for name in seen.into_inner() {
            assert!(SERVE_MORE.contains(&name), "{name}");
        }
    }
}

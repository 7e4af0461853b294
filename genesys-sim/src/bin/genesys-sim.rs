//! The simulator as a process of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use genesys_sim::{RateLimit, Sim, SimConfig};

/// A stand-in for Genesys Cloud: login and guests API on one port, for development and tests.
///
/// Point guestpass at it with GENESYS_LOGIN_URL and GENESYS_API_URL, both set to the URL it prints.
#[derive(Parser)]
#[command(name = "genesys-sim", after_long_help = AFTER_HELP, after_help = "See --help for the admin calls.")]
struct Options {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// OAuth client id that is let in
    #[arg(long, value_name = "ID", default_value = "sim-client")]
    client_id: String,
    /// Its secret
    #[arg(long, value_name = "SECRET", default_value = "sim-secret")]
    client_secret: String,
    /// API calls a minute before 429, as 300 at Genesys [default: no limit]
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// Lifetime of access tokens, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    token_ttl: u64,
    /// Time every call takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
}

const AFTER_HELP: &str = "\
Served as Genesys does:
  POST /oauth/token
  POST /api/v2/conversations/messaging/guests
  POST /api/v2/conversations/messaging/guests/{id}/invalidate

Admin calls, JSON in and out:
  GET    /sim/ledger     every guest and call; ?kind=token|create|invalidate|other
  POST   /sim/faults     add a fault: {\"on\":…,\"times\":N,\"effect\":…}, until cleared without times
           on:     token, create, invalidate, api (all but token), any
           effect: {\"latency\":MS}, {\"status\":{\"code\":503,\"retryAfter\":\"1\",\"body\":\"…\"}},
                   \"resetBefore\", \"resetAfter\", {\"hang\":{\"afterWork\":true}},
                   {\"malformedBody\":\"…\"}, \"cutBody\", {\"dropField\":\"guestToken\"}
  GET    /sim/faults     faults still in force
  DELETE /sim/faults     clear them
  POST   /sim/settings   {\"rateLimit\":{\"calls\":300,\"windowMs\":60000} or null,
                          \"tokenTtlSeconds\":N,\"latencyMs\":{\"create\":N,\"invalidate\":N,\"token\":N}};
                         what is left out stays
  GET    /sim/settings   as they are
  DELETE /sim/tokens     revoke all access tokens
  POST   /sim/reset      forget the ledger and the faults
  GET    /sim/healthz    200 while it runs

Example: the next two creates are answered 429, to be tried again after 2 seconds
  curl -d '{\"on\":\"create\",\"times\":2,\"effect\":{\"status\":{\"code\":429,\"retryAfter\":\"2\"}}}' \\
    http://127.0.0.1:9090/sim/faults";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let config = SimConfig {
        client_id: options.client_id,
        client_secret: options.client_secret,
        token_ttl_seconds: options.token_ttl,
        rate_limit: options.rate_limit.map(|calls| RateLimit { calls, window_ms: 60_000 }),
        ..SimConfig::default()
    };
    let sim = match Sim::start(config, options.listen).await {
        Ok(sim) => sim,
        Err(error) => {
            eprintln!("genesys-sim: cannot listen on {}: {error}", options.listen);
            return ExitCode::FAILURE;
        }
    };
    let ms = options.latency_ms;
    sim.set_latency(ms, ms, ms);
    let url = sim.url();
    println!("genesys-sim listens on {url} (ledger: curl {url}/sim/ledger)");
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("genesys-sim: cannot wait for Ctrl-C: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

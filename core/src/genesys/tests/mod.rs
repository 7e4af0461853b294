//! The Genesys client: access tokens, and the exact requests.

mod requests;
mod tokens;

use std::time::Duration;

use super::GuestsApi;
use crate::test_support::{ManualClock, ScriptedHttp, config_of};

const BUDGET: Duration = Duration::from_secs(15);

type Api = GuestsApi<ScriptedHttp, ManualClock>;

fn api(variables: &[(&str, &str)], latency_ms: u64) -> (ManualClock, ScriptedHttp, Api) {
    let clock = ManualClock::new(5);
    let http = ScriptedHttp::new(&clock, latency_ms);
    let api = GuestsApi::new(http.clone(), clock.clone(), &config_of(variables).genesys);
    (clock, http, api)
}

//! The two events of the Worker.
#![expect(
    unreachable_pub,
    reason = "wasm-bindgen exports to JavaScript what is pub, whatever it is in"
)]

use guestpass_core::http::{MAX_BODY_BYTES, misconfigured};
use guestpass_core::service::Answer;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, ScheduleContext, ScheduledEvent, event};

use crate::exchange::{self, Exchange};
use crate::host;

/// The longest request body, in bytes.
#[wasm_bindgen]
#[must_use]
pub fn longest_body() -> usize {
    MAX_BODY_BYTES
}

/// Answers a request, whose parts are as [`exchange::read`] takes them. The runtime keeps the work going until
/// the exchange is finished, also when the client goes away; what is left to do after the answer is done before.
#[wasm_bindgen]
pub fn serve(exchange: Exchange, head: &str, body: Option<Vec<u8>>, env: Env) {
    let host = match host::of(&env) {
        Ok(host) => host,
        Err(mistakes) => {
            exchange.send(&misconfigured(&mistakes));
            exchange.finish();
            return;
        }
    };
    let (request, client) = exchange::read(head, body.unwrap_or_default());
    worker::wasm_bindgen_futures::spawn_local(async move {
        let Answer { response, after } = host.app.handle(request, client).await;
        exchange.send(&response);
        host.app.finish(after, Some(&host.drain)).await;
        exchange.finish();
    });
}

/// The cron trigger: one sweep.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    // Mistakes are in the log already.
    let Ok(host) = host::of(&env) else { return };
    match host.app.sweep(&host.sweep).await {
        Ok(report) => tracing::info!(
            expired = report.expired,
            revoked = report.revoked,
            retried = report.retried,
            stuck = report.stuck,
            "swept"
        ),
        Err(fault) => tracing::warn!(error = %fault, "cannot sweep; trying again in a minute"),
    }
}

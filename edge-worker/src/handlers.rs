//! The two events of the Worker.

use futures_channel::oneshot;
use guestpass_core::http::{internal_error, misconfigured};
use guestpass_core::service::Answer;
use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

use crate::{exchange, host};

/// Answers a request. The work goes on under `wait_until` when the client goes away, so that an issue that
/// it began is committed or revoked; what is left to do after the answer follows there too.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let host = match host::of(&env) {
        Ok(host) => host,
        Err(mistakes) => return Ok(exchange::response(misconfigured(&mistakes))),
    };
    let (send, answer) = oneshot::channel();
    context.wait_until(async move {
        let (request, client) = exchange::read(request).await;
        let Answer { response, after } = host.app.handle(request, client).await;
        // A client that went away takes no answer.
        let _ = send.send(response);
        host.app.finish(after, Some(&host.drain)).await;
    });
    Ok(exchange::response(answer.await.unwrap_or_else(|_| internal_error())))
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

//! The course of one call: record it, wait as asked, do the work, and spoil what a fault says.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use crate::body::AnswerBody;
use crate::clock::{now_ms, sleep_ms};
use crate::errors::{Refusal, json_response, json_text, status_fault};
use crate::fault::Effect;
use crate::ledger::{Call, Seq};
use crate::route::Route;
use crate::state::{Shared, State};
use crate::{guests, oauth};

/// The longest request body that is read, in bytes.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// How a call ends.
pub(crate) enum Outcome {
    Answer(Response<AnswerBody>),
    Reset,
    Hang,
}

/// Serves one call that is not for the admin.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    let pending = Pending::arrive(&shared, head);
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::api(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request.entity.too.large",
            "The request is too large.",
        )),
        Err(_) => Err(Refusal::bad_request("The body broke off.")),
    };
    if pending.latency_ms == 0 {
        return pending.finish(&shared, body);
    }
    // Its own task: the work is done at Genesys even when the caller has gone meanwhile.
    let finished = tokio::spawn(async move {
        sleep_ms(pending.latency_ms).await;
        pending.finish(&shared, body)
    });
    finished.await.unwrap_or(Outcome::Reset)
}

/// A call that was recorded and not yet worked on.
struct Pending {
    head: Parts,
    route: Route,
    seq: Seq,
    correlation_id: String,
    latency_ms: u64,
    effect: Option<Effect>,
}

impl Pending {
    fn arrive(shared: &Shared, head: Parts) -> Self {
        let route = Route::of(&shared.config.guests_path, &head.method, head.uri.path());
        let correlation_id = shared.ids.uuid();
        let at_ms = now_ms();
        let user_agent = head.headers.get(header::USER_AGENT);
        let mut call = Call {
            at_ms,
            kind: route.kind(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            guest_id: match &route {
                Route::Invalidate(id) => Some(id.clone()),
                _ => None,
            },
            status: None,
            user_agent: user_agent.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()),
            authorization_ok: false,
            correlation_id: correlation_id.clone(),
            faults: Vec::new(),
        };
        let state = &mut *shared.state();
        let verdict = state.faults.meet(call.kind);
        let latency_ms = state.settings.latency_ms.of(call.kind);
        call.authorization_ok = authorized(shared, state, &route, &head, at_ms);
        call.faults = verdict.met;
        Self {
            seq: state.ledger.arrive(call),
            head,
            route,
            correlation_id,
            latency_ms: latency_ms.saturating_add(verdict.latency_ms),
            effect: verdict.effect,
        }
    }

    fn finish(mut self, shared: &Shared, body: Result<Bytes, Refusal>) -> Outcome {
        let effect = self.effect.take();
        let state = &mut *shared.state();
        if shared.is_stopped() {
            return Outcome::Hang;
        }
        let response = match &effect {
            Some(Effect::ResetBefore) => return Outcome::Reset,
            Some(Effect::Hang { after_work: false }) => return Outcome::Hang,
            Some(Effect::Status { code, retry_after, body }) => {
                status_fault(*code, retry_after.as_deref(), body.as_deref(), &self.correlation_id)
            }
            _ => body
                .and_then(|body| self.work(shared, state, &body))
                .unwrap_or_else(|refusal| refusal.into_response(&self.correlation_id)),
        };
        let (mut response, is_cut) = match effect {
            Some(Effect::ResetAfter) => return Outcome::Reset,
            Some(Effect::Hang { .. }) => return Outcome::Hang,
            Some(Effect::MalformedBody(text)) if response.status().is_success() => {
                (json_response(StatusCode::OK, text), false)
            }
            Some(Effect::DropField(name)) => (without_field(response, &name), false),
            Some(Effect::CutBody) if response.body().is_empty() => {
                (json_response(StatusCode::OK, "{}"), true)
            }
            Some(Effect::CutBody) => (response, true),
            _ => (response, false),
        };
        if let Some(call) = state.ledger.call(self.seq) {
            call.status = Some(response.status().as_u16());
        }
        self.add_headers(state, &mut response);
        Outcome::Answer(response.map(if is_cut { AnswerBody::half } else { AnswerBody::whole }))
    }

    /// Does what the call asks for.
    fn work(
        &self,
        shared: &Shared,
        state: &mut State,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let (headers, now) = (&self.head.headers, now_ms());
        // Latency lies between arrival and work: the token may have expired or been revoked.
        let is_authorized = authorized(shared, state, &self.route, &self.head, now);
        if let Some(call) = state.ledger.call(self.seq) {
            call.authorization_ok = is_authorized;
        }
        match &self.route {
            Route::Token => oauth::token(state, &shared.config, &shared.ids, headers, body, now),
            Route::Create => {
                let (response, id) = guests::create(state, &shared.ids, headers, body, now)?;
                if let Some(call) = state.ledger.call(self.seq) {
                    call.guest_id = Some(id);
                }
                Ok(response)
            }
            Route::Invalidate(id) => guests::invalidate(state, id, headers, now),
            Route::WrongMethod => Err(Refusal::api(
                StatusCode::METHOD_NOT_ALLOWED,
                "method.not.allowed",
                "The method is not allowed for this resource.",
            )),
            Route::Unknown => Err(Refusal::api(
                StatusCode::NOT_FOUND,
                "not.found",
                "The requested resource was not found.",
            )),
        }
    }

    fn add_headers(&self, state: &State, response: &mut Response<Bytes>) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.correlation_id) {
            headers.insert("inin-correlation-id", id);
        }
        if self.route != Route::Token {
            state.tell_budget(headers, now_ms());
        }
    }
}

fn authorized(shared: &Shared, state: &State, route: &Route, head: &Parts, now_ms: u64) -> bool {
    match route {
        Route::Token => oauth::is_client(&shared.config, &head.headers),
        _ => state.bearer(&head.headers, now_ms).is_some(),
    }
}

fn without_field(response: Response<Bytes>, name: &str) -> Response<Bytes> {
    response.map(|body| {
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(&body) else {
            return body;
        };
        fields.remove(name);
        json_text(&fields).into()
    })
}

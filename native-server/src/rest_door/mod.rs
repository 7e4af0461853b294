//! The REST door: Redis over the Upstash REST protocol at `/redis`, for Workers that have no other way to it.
//! This file holds who gets in, what is sent to Redis and what is answered; how requests are read, what is let
//! through and how replies look is in the files beside it.

mod gate;
mod reply;
mod request;

use std::time::Duration;

use bytes::Bytes;
use guestpass_core::config::{RedisTarget, RestCommands};
use guestpass_core::http::access::bearer;
use guestpass_core::seams::{Clock as _, StoreFault};
use guestpass_core::secret::Secret;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request::Parts};
use redis::{Cmd, RedisError, Value};

use crate::clock::{SystemClock, within};
use crate::kv::{RedisKv, describe, fault};
use reply::Encoding;
use request::{Ask, MAX_BODY_BYTES, PATH, Words};

/// The longest that Redis may take for one request: less than callers wait, so that they learn of it.
const DEADLINE: Duration = Duration::from_secs(3);

const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");

const WRONG_TOKEN: &str = "WRONGPASS invalid or missing auth token";
const TOKEN_IN_URL: &str =
    "WRONGPASS tokens do not belong in URLs, which end up in logs: send Authorization: Bearer";

/// Redis, served over REST.
pub struct RestDoor {
    kv: RedisKv,
    token: Secret,
    commands: RestCommands,
}

impl std::fmt::Debug for RestDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestDoor").field("commands", &self.commands).finish_non_exhaustive()
    }
}

/// What came of a request.
struct Outcome {
    status: StatusCode,
    body: Vec<u8>,
    /// Why Redis could not be asked, for the log.
    fault: Option<StoreFault>,
}

/// What a log line says of a request besides its status.
#[derive(Default)]
struct Note {
    kind: &'static str,
    commands: usize,
    script: Option<&'static str>,
}

impl RestDoor {
    /// A door to a Redis, with a connection of its own: what callers send does not hold up the origin's calls.
    ///
    /// # Errors
    /// When the target cannot be an address.
    pub fn new(
        target: &RedisTarget,
        door: &guestpass_core::config::RestDoor,
    ) -> Result<Self, String> {
        let kv = RedisKv::new(target)?;
        Ok(Self { kv, token: door.token.clone(), commands: door.commands })
    }

    /// Whether a path leads here.
    pub(crate) fn is_at(path: &str) -> bool {
        path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// How many bytes of a request's body are worth reading: none from those who are not let in.
    pub(crate) fn room(&self, head: &Parts) -> usize {
        if self.lets_in(&head.headers) { MAX_BODY_BYTES + 1 } else { 0 }
    }

    /// Answers a request and logs it.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let begun = SystemClock.now();
        let mut note = Note::default();
        let outcome = self.respond(&request, &mut note).await;
        let Outcome { status, body, fault } = outcome;
        tracing::info!(
            method = request.method().as_str(),
            route = PATH,
            status = status.as_u16(),
            duration_ms = SystemClock.now().since(begun),
            kind = note.kind,
            commands = note.commands,
            script = note.script,
            fault = fault.map(|fault| fault.to_string()),
            "request"
        );
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
            _ => {}
        }
        response
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| self.token.matches(token.expose()))
    }

    async fn respond(&self, request: &Request<Bytes>, note: &mut Note) -> Outcome {
        if request::has_token(request.uri().query().unwrap_or_default()) {
            return Outcome::error(StatusCode::UNAUTHORIZED, TOKEN_IN_URL);
        }
        if !self.lets_in(request.headers()) {
            return Outcome::error(StatusCode::UNAUTHORIZED, WRONG_TOKEN);
        }
        let ask = match request::parse(request.method(), request.uri(), request.body()) {
            Ok(ask) => ask,
            Err((status, error)) => return Outcome::error(status, error),
        };
        note.kind = ask.kind();
        let wants_base64 = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"base64");
        let encoding = if request.headers().get(ENCODING).is_some_and(wants_base64) {
            Encoding::Base64
        } else {
            Encoding::Text
        };
        let answer = async {
            match ask {
                Ask::Command(words) => self.command(&words, encoding, note).await,
                Ask::Pipeline(lines) => self.pipeline(&lines, encoding, note).await,
                Ask::Transaction(lines) => self.transaction(&lines, encoding, note).await,
            }
        };
        within(DEADLINE, answer).await.unwrap_or_else(|| {
            let fault = StoreFault::Unreachable(format!("no answer within {DEADLINE:?}"));
            Outcome::fault(fault)
        })
    }

    async fn command(&self, words: &Words, encoding: Encoding, note: &mut Note) -> Outcome {
        note.commands = 1;
        match gate::check(self.commands, words) {
            Err(refusal) => return Outcome::error(StatusCode::BAD_REQUEST, &refusal),
            Ok(script) => note.script = script.map(|script| script.name()),
        }
        match self.kv.command(&command(words)).await {
            Ok(value) => Outcome::result(&value, encoding),
            Err(error) => Outcome::of_error(&error),
        }
    }

    /// Each command has a result of its own, whatever becomes of the others.
    async fn pipeline(&self, lines: &[Words], encoding: Encoding, note: &mut Note) -> Outcome {
        note.commands = lines.len();
        let checked: Vec<_> = lines
            .iter()
            .map(|words| gate::check(self.commands, words).map(|_| command(words)))
            .collect();
        let mut replies = match self.run(checked.iter().flatten()).await {
            Ok(replies) => replies.into_iter(),
            Err(error) => return Outcome::of_error(&error),
        };
        let results: Vec<_> =
            checked.into_iter().map(|checked| checked.map(|_| replies.next())).collect();
        let body = reply::write_all(&results, |out, result| match result {
            Ok(Some(value)) => reply::write(out, value, encoding),
            Ok(None) => reply::write_error(out, "ERR no reply"),
            Err(refusal) => reply::write_error(out, refusal),
        });
        Outcome { status: StatusCode::OK, body, fault: None }
    }

    /// Runs commands in order. Errors of the server are among the replies.
    async fn run(&self, commands: impl Iterator<Item = &Cmd>) -> Result<Vec<Value>, RedisError> {
        let mut replies = Vec::new();
        if self.kv.is_cluster() {
            // Each goes to the server that has its keys.
            for command in commands {
                replies.push(match self.kv.command(command).await {
                    Ok(value) => value,
                    Err(error) => redis::ServerError::try_from(error).map(Value::ServerError)?,
                });
            }
            return Ok(replies);
        }
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command.clone());
        }
        if pipeline.is_empty() {
            return Ok(replies);
        }
        self.kv.pipeline(pipeline.ignore_errors()).await
    }

    /// All commands or none, and nobody else's between them: MULTI to EXEC go out in one piece. As in Redis, a
    /// command that fails when it runs does not take back the others.
    async fn transaction(&self, lines: &[Words], encoding: Encoding, note: &mut Note) -> Outcome {
        note.commands = lines.len();
        let mut block = redis::pipe();
        block.atomic().ignore_errors();
        for words in lines {
            if let Err(refusal) = gate::check(self.commands, words) {
                return Outcome::error(StatusCode::BAD_REQUEST, &refusal);
            }
            block.add_command(command(words));
        }
        match self.kv.pipeline(&block).await {
            Ok(replies) => {
                let write = |out: &mut _, value: &_| reply::write(out, value, encoding);
                let body = reply::write_all(&replies, write);
                Outcome { status: StatusCode::OK, body, fault: None }
            }
            Err(error) => Outcome::of_error(&error),
        }
    }
}

fn command(words: &Words) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(&word[..]);
    }
    command
}

impl Outcome {
    fn result(value: &Value, encoding: Encoding) -> Self {
        let mut body = Vec::new();
        reply::write(&mut body, value, encoding);
        Self { status: StatusCode::OK, body, fault: None }
    }

    fn error(status: StatusCode, text: &str) -> Self {
        let mut body = Vec::new();
        reply::write_error(&mut body, text);
        Self { status, body, fault: None }
    }

    /// What Redis refuses is the caller's business; that it cannot be asked is not.
    fn of_error(error: &RedisError) -> Self {
        match (fault(error), reply::said(error)) {
            (StoreFault::Refused(_), Some(said)) => Self::error(StatusCode::BAD_REQUEST, &said),
            (StoreFault::Refused(_), None) => Self::fault(StoreFault::Unreachable(describe(error))),
            (fault, _) => Self::fault(fault),
        }
    }

    /// 502 where the command may have been done, which scripts that may be repeated survive; 503 where Redis is
    /// not there or too slow.
    fn fault(fault: StoreFault) -> Self {
        let (status, text) = match fault {
            StoreFault::Lost(_) | StoreFault::Unreadable(_) => (
                StatusCode::BAD_GATEWAY,
                "ERR the connection to Redis broke; the command may have run",
            ),
            StoreFault::Unreachable(_) | StoreFault::Refused(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ERR Redis cannot be reached or does not answer in time; the command may have run",
            ),
        };
        Self { fault: Some(fault), ..Self::error(status, text) }
    }
}

#[cfg(test)]
mod tests;

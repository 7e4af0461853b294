//! Redis by the Upstash REST protocol, over [`HttpSend`]: one POST for each script. Source of the
//! protocol: Upstash's REST API documentation, as read in November 2026.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::echo::without_echo;
use super::script::Script;
use crate::seams::{Clock, HttpFault, HttpSend, Kv, Reply, StoreFault};
use crate::secret::Secret;
use crate::service::within;

/// The longest that one call may take, in milliseconds.
const DEADLINE_MS: u64 = 4000;

/// Asks for strings in base64: otherwise bytes that are not UTF-8 come back mangled.
const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");

/// A Redis behind the Upstash REST protocol.
#[derive(Debug)]
pub struct UpstashKv<H, C> {
    http: H,
    clock: C,
    url: String,
    authorization: HeaderValue,
}

/// What the service said, sorted by what it means for the caller.
enum Answer {
    Result(Reply),
    /// The server does not know the script.
    NoScript,
}

impl<H: HttpSend, C: Clock> UpstashKv<H, C> {
    /// A client of the service at `url`, which has no trailing slash.
    ///
    /// # Errors
    /// When the token cannot be sent in a header.
    pub fn new(http: H, clock: C, url: String, token: &Secret) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| {
                "UPSTASH_REDIS_REST_TOKEN has characters that no header may hold".to_owned()
            })?;
        authorization.set_sensitive(true);
        Ok(Self { http, clock, url, authorization })
    }

    /// Sends a command; once more when the first was certainly never processed.
    async fn send(&self, body: &Bytes) -> Result<Response<Bytes>, StoreFault> {
        let mut again = true;
        loop {
            let request = Request::builder()
                .method(Method::POST)
                .uri(&self.url)
                .header(AUTHORIZATION, self.authorization.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ENCODING, "base64")
                .header(USER_AGENT, crate::genesys::USER_AGENT)
                .body(body.clone())
                .map_err(|_| {
                    StoreFault::Unreachable("UPSTASH_REDIS_REST_URL is no URL".to_owned())
                })?;
            match within(&self.clock, DEADLINE_MS, self.http.send(request)).await {
                Some(Ok(response)) => return Ok(response),
                Some(Err(HttpFault::NotSent(_))) if again => again = false,
                Some(Err(HttpFault::NotSent(why))) => return Err(StoreFault::Unreachable(why)),
                Some(Err(HttpFault::Broken(why))) => return Err(StoreFault::Lost(why)),
                Some(Err(HttpFault::TimedOut(_))) | None => {
                    let limit = Duration::from_millis(DEADLINE_MS);
                    return Err(StoreFault::Unreachable(format!("no answer within {limit:?}")));
                }
            }
        }
    }

    async fn evaluate(
        &self,
        command: &str,
        script: &str,
        keys: &[String],
        args: &[Bytes],
    ) -> Result<Answer, StoreFault> {
        let mut words = Vec::with_capacity(3 + keys.len() + args.len());
        let count = keys.len().to_string();
        words.extend([command, script, &count]);
        words.extend(keys.iter().map(String::as_str));
        for arg in args {
            let text = std::str::from_utf8(arg).map_err(|_| {
                StoreFault::Refused("an argument that JSON cannot carry".to_owned())
            })?;
            words.push(text);
        }
        let body = serde_json::to_vec(&words)
            .map_err(|_| StoreFault::Refused("arguments that JSON cannot carry".to_owned()))?;
        read(&self.send(&body.into()).await?)
    }
}

impl<H: HttpSend, C: Clock> Kv for UpstashKv<H, C> {
    async fn run(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[Bytes],
    ) -> Result<Reply, StoreFault> {
        match self.evaluate("EVALSHA", script.sha1(), keys, args).await? {
            Answer::Result(reply) => Ok(reply),
            Answer::NoScript => match self.evaluate("EVAL", script.source(), keys, args).await? {
                Answer::Result(reply) => Ok(reply),
                Answer::NoScript => {
                    Err(StoreFault::Unreadable("NOSCRIPT for a script sent whole".to_owned()))
                }
            },
        }
    }
}

/// Reads an answer: its status tells a result from a refusal and from a service that is not there.
fn read(response: &Response<Bytes>) -> Result<Answer, StoreFault> {
    let body: Result<Value, _> = serde_json::from_slice(response.body());
    let error = || {
        body.as_ref()
            .ok()
            .and_then(|body| body.get("error"))
            .and_then(Value::as_str)
            .map(without_echo)
    };
    match response.status() {
        StatusCode::OK => {
            if let Some(error) = error() {
                return refused(error);
            }
            let result = body.as_ref().ok().and_then(|body| body.get("result"));
            let result = result
                .ok_or_else(|| StoreFault::Unreadable("a body without a result".to_owned()))?;
            decode(result).map(Answer::Result)
        }
        StatusCode::BAD_REQUEST => refused(error().unwrap_or_else(|| "400".to_owned())),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(StoreFault::Refused("the REST service refuses UPSTASH_REDIS_REST_TOKEN".to_owned()))
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Err(StoreFault::Refused("the REST service is rate limited".to_owned()))
        }
        // What stands between here and Redis lost it while the command was under way.
        StatusCode::BAD_GATEWAY => {
            Err(StoreFault::Lost("the REST service answered 502".to_owned()))
        }
        status if status.is_server_error() => {
            Err(StoreFault::Unreachable(format!("the REST service answered {}", status.as_u16())))
        }
        status => {
            Err(StoreFault::Refused(format!("the REST service answered {}", status.as_u16())))
        }
    }
}

fn refused(error: String) -> Result<Answer, StoreFault> {
    if error.starts_with("NOSCRIPT") {
        Ok(Answer::NoScript)
    } else {
        Err(StoreFault::Refused(error))
    }
}

/// A result; every string in it but `OK` is base64. The parser bounds the depth.
fn decode(value: &Value) -> Result<Reply, StoreFault> {
    let unreadable = |what: &str| StoreFault::Unreadable(what.to_owned());
    Ok(match value {
        Value::Null => Reply::Nil,
        Value::Number(number) => {
            Reply::Int(number.as_i64().ok_or_else(|| unreadable("a number out of range"))?)
        }
        Value::String(text) if text == "OK" => Reply::Bytes(Bytes::from_static(b"OK")),
        Value::String(text) => {
            let bytes =
                STANDARD.decode(text).map_err(|_| unreadable("a string that is not base64"))?;
            Reply::Bytes(bytes.into())
        }
        Value::Array(items) => Reply::Array(items.iter().map(decode).collect::<Result<_, _>>()?),
        Value::Bool(_) | Value::Object(_) => {
            return Err(unreadable("a reply type that scripts do not use"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn answer(status: u16, body: &str) -> Result<Reply, StoreFault> {
        let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        read(&response).map(|answer| match answer {
            Answer::Result(reply) => reply,
            Answer::NoScript => Reply::Bytes("NOSCRIPT".into()),
        })
    }

    #[test]
    fn results_are_decoded_from_base64() {
        let reply = answer(200, r#"{"result":["Z3JhbnRlZA==",7,null,["OK"],"/w=="]}"#).unwrap();
        let expected = Reply::Array(vec![
            Reply::Bytes("granted".into()),
            Reply::Int(7),
            Reply::Nil,
            Reply::Array(vec![Reply::Bytes("OK".into())]),
            Reply::Bytes(Bytes::from_static(b"\xff")),
        ]);
        assert_eq!(reply, expected);
    }

    #[test]
    fn refusals_are_told_from_a_service_that_is_not_there() {
        assert_eq!(
            answer(400, r#"{"error":"NOSCRIPT No matching script."}"#),
            Ok(Reply::Bytes("NOSCRIPT".into()))
        );
        let refused = |status, body| matches!(answer(status, body), Err(StoreFault::Refused(_)));
        assert!(refused(400, r#"{"error":"OOM command not allowed"}"#) && refused(400, "not json"));
        assert!(refused(401, r#"{"error":"WRONGPASS"}"#) && refused(429, "") && refused(404, ""));
        assert!(matches!(answer(503, "<html>"), Err(StoreFault::Unreachable(_))));
        assert!(matches!(answer(502, "<html>"), Err(StoreFault::Lost(_))));
    }

    #[test]
    fn answers_of_another_shape_are_unreadable() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"result":{"a":1}}"#,
            r#"{"result":"not base64!"}"#,
            r#"{"result":1.5}"#,
        ] {
            assert!(matches!(answer(200, body), Err(StoreFault::Unreadable(_))), "{body}");
        }
    }
}

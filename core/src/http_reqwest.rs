//! [`HttpSend`] for reqwest on wasm32, where it is `fetch`. Deadlines are the caller's: under workerd a request
//! timeout cannot be told from other faults.

use bytes::Bytes;
use http::{Request, Response};

use crate::seams::{HttpFault, HttpSend, MAX_REPLY_BYTES};

impl HttpSend for reqwest::Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        let (parts, body) = request.into_parts();
        let mut outgoing = self
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .build()
            .map_err(|error| HttpFault::NotSent(describe(&error)))?;
        outgoing.timeout_mut().take();
        let response = self.execute(outgoing).await.map_err(|error| fault(&error))?;
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        *answer.body_mut() = read(response).await?;
        Ok(answer)
    }
}

async fn read(response: reqwest::Response) -> Result<Bytes, HttpFault> {
    // An answer that says how long it is need not be read to be refused. One that does not is read whole here.
    if response.content_length().is_some_and(|length| length > MAX_REPLY_BYTES as u64) {
        return Err(too_long());
    }
    let body = response.bytes().await.map_err(|error| HttpFault::Broken(describe(&error)))?;
    if body.len() > MAX_REPLY_BYTES {
        return Err(too_long());
    }
    Ok(body)
}

fn too_long() -> HttpFault {
    HttpFault::Broken("a longer answer than is read".to_owned())
}

fn fault(error: &reqwest::Error) -> HttpFault {
    if error.is_builder() {
        return HttpFault::NotSent(describe(error));
    }
    HttpFault::Broken(describe(error))
}

/// The innermost cause, which names no URL.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let is_outermost =
        std::ptr::addr_eq(std::ptr::from_ref(cause), std::ptr::from_ref::<reqwest::Error>(error));
    if is_outermost {
        "the request failed".to_owned()
    } else {
        cause.to_string().chars().take(160).collect()
    }
}

//! The requests that both hosts are sent. Each function is one sequence, in order.

pub(crate) mod bodies;
pub(crate) mod framing;
pub(crate) mod headers;
pub(crate) mod life;
pub(crate) mod paths;

use guestpass_tests::host::{OPERATOR, sessions};
use guestpass_tests::http_client::Request;

use crate::wire::Case;

/// The device that most requests are about.
const DEVICE: &str = "device-of-the-corpus";

/// An issue for it.
fn issue() -> Request {
    Request::new("POST", &sessions(DEVICE))
}

/// A request without headers, and the operator's.
fn both(method: &str, target: &str) -> [Case; 2] {
    let request = Request::new(method, target);
    [request.clone().into(), request.bearer(OPERATOR).into()]
}

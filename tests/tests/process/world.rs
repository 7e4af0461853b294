//! What the tests of origins ask of them, besides what [`guestpass_tests::world`] has.

use guestpass_tests::host::{OPERATOR, sessions};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::origin::Origin;
use guestpass_tests::wait::now_ms;
pub(crate) use guestpass_tests::world::{Dice, World, issued, issued_when_free, own};

/// A request of the operator to end all of a device's sessions.
pub(crate) fn end_all(fingerprint: &str) -> Request {
    Request::new("DELETE", &sessions(fingerprint)).bearer(OPERATOR)
}

/// Sends requests at once and gathers the answers in their order.
pub(crate) async fn at_once(origin: &Origin, requests: Vec<Request>) -> Vec<Reply> {
    let send = requests.iter().map(|request| origin.send(request));
    futures_util::future::join_all(send).await
}

/// Dice seeded by the clock, or by `PROCESS_SEED`; printed for who wants to repeat it.
pub(crate) fn dice() -> Dice {
    let asked = std::env::var("PROCESS_SEED").ok().and_then(|text| text.parse().ok());
    let seed = asked.unwrap_or_else(now_ms);
    println!("PROCESS_SEED={seed}");
    Dice::seeded(seed)
}

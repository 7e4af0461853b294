//! Sessions from issue to revocation, as sites, guests and operators see them.

use guestpass_tests::host::{OPERATOR, issue as issue_for, sessions};
use guestpass_tests::http_client::Request;

use super::{DEVICE, issue};
use crate::wire::Case;

/// Every call, as it goes well and as it does not.
pub(crate) fn open() -> Vec<Case> {
    let devices = sessions(DEVICE);
    let list = || Request::new("GET", &devices).bearer(OPERATOR);
    let of = |method: &str, what: &str| Request::new(method, &format!("{devices}/{what}"));
    let keyed = |key: &str| issue().header("Idempotency-Key", key);
    let mut requests = vec![list()];
    for _ in 0..5 {
        requests.push(issue());
        requests.push(list());
    }
    for guest in ["{guest}", "{guest0}", "unknown"] {
        for token in ["{token}", "{token0}", OPERATOR, "wrong", "{token}x", "{guest}"] {
            requests.push(of("POST", &format!("{guest}/renew")).bearer(token));
        }
        requests.push(of("POST", &format!("{guest}/renew")));
        requests.push(of("POST", &format!("{guest}/renew")).bearer("{token}").bearer("{token}"));
        requests.push(of("POST", &format!("{guest}/renew")).bearer("{token}, {token}"));
        requests.push(of("POST", &format!("{guest}/renew")).bearer("{token}").json("{}"));
        requests.push(of("POST", &format!("{guest}/renew")).bearer("{token}").json("[]"));
        requests.push(of("HEAD", guest).bearer("{token}"));
        requests.push(of("DELETE", guest).bearer("wrong"));
        requests.push(of("DELETE", guest));
    }
    requests.push(of("DELETE", "{guest}").bearer("{token}"));
    requests.push(of("DELETE", "{guest}").bearer("{token}"));
    requests.push(of("DELETE", "{guest}").bearer(OPERATOR));
    requests.push(of("POST", "{guest}/renew").bearer("{token}"));
    requests.extend([list(), issue(), of("DELETE", "{guest}").bearer(OPERATOR), list()]);
    for key in ["a", "a", "b", "B"] {
        requests.push(keyed(key));
        requests.push(keyed(key).json(r#"{"routing":{"queueId":"q"}}"#));
        requests.push(keyed(key).json("nonsense"));
    }
    requests.push(keyed("c").json(r#"{"routing":{"b":[1,2.0],"a":"é"}}"#));
    requests.push(keyed("c").json(r#"{ "routing" : {"a":"\u00e9","b":[1.0,2]} }"#));
    requests.push(keyed("c").header("Idempotency-Key", "c"));
    requests.push(keyed("c,c"));
    requests.push(keyed("c, c"));
    let revocations = |method: &str, what: &str| {
        Request::new(method, &format!("/v1/revocations{what}")).bearer(OPERATOR)
    };
    requests.push(revocations("GET", "?state=stuck"));
    requests.push(revocations("POST", "/{guest}/retry"));
    requests.push(revocations("DELETE", "/{guest}"));
    requests.push(Request::new("DELETE", &devices));
    requests.push(Request::new("DELETE", &devices).bearer("{token}"));
    requests.push(Request::new("DELETE", &devices).bearer(OPERATOR));
    requests.push(Request::new("DELETE", &devices).bearer(OPERATOR));
    requests.push(list());
    requests.push(Request::new("POST", "/v1/sweep").bearer(OPERATOR));
    requests.push(Request::new("GET", "/v1/stats").bearer(OPERATOR));
    requests.into_iter().map(Case::from).collect()
}

/// Issues while Genesys does not answer as it should, and calls that do not need it.
pub(crate) fn refused(n: usize) -> Vec<Case> {
    let device = format!("device-refused-{n}");
    let keyed = issue_for(&device).header("Idempotency-Key", "key");
    let requests = [
        keyed.clone(),
        keyed.json(r#"{"routing":{}}"#),
        Request::new("GET", &sessions(&device)).bearer(OPERATOR),
        Request::new("GET", "/readyz"),
        Request::new("GET", "/v1/stats").bearer(OPERATOR),
    ];
    requests.into_iter().map(Case::from).collect()
}

/// More issues than a device and an address may have.
pub(crate) fn limited() -> Vec<Case> {
    let devices = ["device-limited-1", "device-limited-1", "device-limited-2", "device-limited-3"];
    devices.iter().cycle().take(8).map(|device| issue_for(device).into()).collect()
}

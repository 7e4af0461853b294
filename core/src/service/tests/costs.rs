//! What work costs, by count: calls to the store and to Genesys.

use crate::test_support::{FINGERPRINT, Seen, World, issue, request};

#[test]
fn an_issue_is_two_calls_to_the_store_and_one_to_genesys() {
    let world = World::new(&[]);
    let host = world.host();
    // The first one fetches the access token, too.
    assert_eq!(world.issue(&host), 201);
    assert_eq!((world.genesys.seen().len(), world.genesys.count(Seen::is_token)), (2, 1));
    for evicts in [false, true, true] {
        let (stored, called) = (world.store.called().len(), world.genesys.seen().len());
        let (response, after) = world.ask_only(&host, issue());
        assert_eq!((response.status().as_u16(), after.revocations_filed), (201, evicts));
        assert_eq!(world.store.called()[stored..], ["admit", "commit"]);
        assert_eq!(world.genesys.seen().len(), called + 1);
        world.clock.run(host.finish(after, None));
    }
}

#[test]
fn other_calls_are_one_call_to_the_store_and_none_to_genesys() {
    let world = World::new(&[]);
    let host = world.host();
    for _ in 0..3 {
        assert_eq!(world.issue(&host), 201);
    }
    let sessions = format!("/v1/devices/{}/sessions", FINGERPRINT);
    let calls = [
        ("GET", sessions.as_str(), "list"),
        ("GET", "/v1/revocations", "revocations"),
        ("POST", "/v1/revocations/guest-1/retry", "retry"),
        ("DELETE", "/v1/revocations/guest-1", "abandon"),
        ("DELETE", &sessions, "end"),
        ("GET", "/v1/stats", "stats"),
        ("GET", "/metrics", "stats"),
    ];
    let genesys = world.genesys.seen().len();
    for (method, path, operation) in calls {
        let before = world.store.called().len();
        let answer = world.ask(&host, request(method, path, ""));
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        assert_eq!(world.store.called()[before..], [operation], "{method} {path}");
    }
    assert_eq!(world.genesys.seen().len(), genesys);
}

//! What a server tells its operator: one line a request, one where something was set aside, and how long its
//! requests and calls take.

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::host::{OPERATOR, issue, run, sessions};
use guestpass_tests::http_client::Request;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::ms;
use serde_json::Value;

use crate::world::{World, issued};

/// The one line in which a field has this value.
async fn line_with(origin: &Origin, field: &str, value: &str) -> Value {
    eventually("a line of the log", ms(5000), async || {
        let log = origin.log();
        let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let mut found: Vec<Value> = lines.filter(|line: &Value| line[field] == value).collect();
        assert!(found.len() < 2, "{found:?}");
        found.pop()
    })
    .await
}

#[test]
fn a_request_is_one_line_that_says_how_it_went() {
    run(async {
        let world = World::new().await;
        let origin = world.origin(&[("LOG_FORMAT", "json"), ("LOG_LEVEL", "info")]).await;
        let refusal = Effect::Status { code: 403, retry_after: None, body: None };
        world.sim.fault(Fault::once(On::Create, refusal));
        let request = issue("logged-device").header("X-Request-Id", "request-1");
        let _ = origin.send(&request).await.problem(502, "genesys_forbidden");
        let context = world.sim.calls_of(CallKind::Create)[0].correlation_id.clone();

        let line = line_with(&origin, "request_id", "request-1").await;
        let told = ["level", "method", "route", "code", "context_id"].map(|name| &line[name]);
        let route = sessions("{fingerprint}");
        assert_eq!(told, ["INFO", "POST", &route, "genesys_forbidden", &context], "{line}");
        assert_eq!(line["status"], 502);
        assert!(line["duration_ms"].is_u64(), "{line}");

        let again = Request::new("GET", &sessions("logged-device"));
        let again = again.header("X-Request-Id", "request-2");
        let _ = origin.send(&again).await.expect(401);
        let same = line_with(&origin, "request_id", "request-2").await;
        let _ = origin.send(&issue("other-device").header("X-Request-Id", "request-3")).await;
        let other = line_with(&origin, "request_id", "request-3").await;
        assert_eq!(same["device"], Value::Null, "told to a stranger's request");
        let device = line["device"].as_str().expect("a short hash");
        assert!(device.len() == 12 && device.bytes().all(|b| b.is_ascii_hexdigit()), "{device}");
        assert_ne!(other["device"], line["device"]);
    });
}

#[test]
fn what_is_set_aside_is_told_without_what_it_was() {
    run(async {
        let world = World::new().await;
        let origin = world.origin(&[("LOG_FORMAT", "json")]).await;
        for (score, member) in [("1", "unreadable-one"), ("2", r#"["unreadable-two"]"#)] {
            world.redis.query::<()>(&["ZADD", "msg:guest:spoilt-device", score, member]);
        }
        issued(origin.addr, "spoilt-device").await;
        let said = "set aside what could not be read in the store";
        let line = line_with(&origin, "message", said).await;
        assert_eq!((&line["level"], line["number"].as_u64()), (&"WARN".into(), Some(2)), "{line}");
        assert!(!origin.log().contains("unreadable-"), "{}", origin.log());
    });
}

#[test]
fn requests_calls_and_the_process_itself_are_measured() {
    run(async {
        let world = World::new().await;
        let origin = world.origin(&[("SWEEP_INTERVAL_MS", "3600000")]).await;
        for _ in 0..4 {
            issued(origin.addr, "measured-device").await;
        }
        world.at_rest().await;
        let metrics = Request::new("GET", "/metrics").bearer(OPERATOR);
        let metrics = origin.send(&metrics).await.expect(200);
        let requests = "guestpass_http_request_duration_seconds";
        let calls = "guestpass_genesys_call_duration_seconds";
        let route = sessions("{fingerprint}");
        for line in [
            format!(r#"{requests}_count{{method="POST",route="{route}",status="201"}} 4"#),
            format!(r#"{calls}_count{{call="token",outcome="200"}} 1"#),
            format!(r#"{calls}_count{{call="create",outcome="2xx"}} 4"#),
            format!(r#"{calls}_count{{call="revoke",outcome="2xx"}} 1"#),
            format!(r#"{calls}_bucket{{call="create",outcome="2xx",le="+Inf"}} 4"#),
            format!("# TYPE {calls} histogram"),
        ] {
            assert!(metrics.text().lines().any(|told| told == line), "{line}");
        }
        assert!(metrics.text().contains("\nprocess_resident_memory_bytes "));
    });
}

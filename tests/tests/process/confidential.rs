//! No token, secret or fingerprint in any log line, metric, error or URL we send (P7).

use futures_util::future::join_all;
use genesys_sim::{Effect, Fault, On, SimConfig};
use guestpass_tests::host::{issue, run, start_sim};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::{ms, pause};

const CLIENT_SECRET: &str = "confidential-client-secret";
const OPERATORS: &str = "confidential-operator-token";
const SITE: &str = "confidential-site-key";
const WRONG: &str = "confidential-wrong-token";
const ACCESS: &str = "confidential-access-token";
const SEALING: &str = "Y29uZmlkZW50aWFsLXNlYWxpbmcta2V5LTAxMjM0NTY=";
const HASHING: &str = "confidential-fingerprint-key-0123456789";
const IDEMPOTENCY: &str = "confidential-idempotency-key";
/// Stands in every fingerprint.
const DEVICE: &str = "confidential-device";

fn faults() -> Vec<Fault> {
    let status = |code, retry_after: Option<&str>| Effect::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
        body: None,
    };
    vec![
        Fault::once(On::Create, status(500, None)),
        Fault::once(On::Create, status(400, None)),
        Fault::once(On::Create, status(401, None)),
        Fault::once(On::Create, status(403, None)),
        Fault::once(On::Create, status(503, None)),
        Fault::once(On::Create, Effect::ResetBefore),
        Fault::once(On::Create, Effect::ResetAfter),
        Fault::once(On::Create, Effect::CutBody),
        Fault::once(On::Create, Effect::DropField("id".into())),
        Fault::once(On::Create, Effect::DropField("guestToken".into())),
        Fault::once(On::Create, Effect::MalformedBody(format!(r#"{{"guestToken":"{WRONG}""#))),
        Fault::once(On::Create, Effect::Hang { after_work: true }),
        Fault::times(On::Invalidate, 3, status(500, None)),
        Fault::times(On::Invalidate, 2, Effect::ResetAfter),
        Fault::once(On::Invalidate, status(404, None)),
    ]
}

/// Whatever was answered that must not hold a secret: all but sessions as they are issued.
struct Answers(String);

impl Answers {
    fn note(&mut self, reply: &Reply) {
        let is_session = reply.status == 201;
        let body = if is_session { "" } else { reply.text() };
        self.0 += &format!("{} {:?} {body}\n", reply.status, reply.headers);
    }
}

/// Calls that go well and calls that do not, by everyone who may call.
async fn busy(origin: &Origin, answers: &mut Answers) {
    let operate = |method: &str, target: &str| Request::new(method, target).bearer(OPERATORS);
    for n in 0..40 {
        let device = format!("{DEVICE}-{}", n % 3);
        let path = format!("/v1/devices/{device}/sessions");
        let mut request = issue(&device).bearer(SITE);
        if n % 4 == 0 {
            request = request.header("Idempotency-Key", IDEMPOTENCY);
        }
        let reply = origin.send(&request).await;
        answers.note(&reply);
        let mut requests = vec![
            issue(&device).bearer(WRONG),
            Request::new("POST", &path).bearer(SITE).json(format!(r#"{{"x":"{WRONG}"}}"#)),
            Request::new("POST", &path).bearer(SITE).json(format!(r#"{{"routing":"{WRONG}""#)),
            operate("GET", &path),
            operate("PUT", &path),
            operate("GET", &format!("{path}/{WRONG}/unknown?token={WRONG}")),
            operate("GET", &format!("/v1/revocations?state={WRONG}")),
            operate("GET", "/v1/revocations?limit=10"),
            Request::new("GET", &format!("/v1/stats?token={OPERATORS}")).bearer(WRONG),
            issue(&format!("{device}%20{WRONG}")).bearer(SITE),
            issue(&device).bearer(SITE).header("Idempotency-Key", format!("{IDEMPOTENCY} é")),
        ];
        if reply.status == 201 {
            let session = Session::of(&reply);
            let own = format!("{path}/{}", session.guest_id);
            requests.push(Request::new("POST", &format!("{own}/renew")).bearer(&session.token));
            requests.push(Request::new("POST", &format!("{own}/renew")).bearer(WRONG));
            if n % 5 == 0 {
                requests.push(Request::new("DELETE", &own).bearer(&session.token));
            }
        }
        for reply in join_all(requests.iter().map(|request| origin.send(request))).await {
            answers.note(&reply);
        }
    }
    for target in ["/metrics", "/v1/stats", "/v1/revocations", "/v1/revocations?state=stuck"] {
        answers.note(&origin.send(&operate("GET", target)).await.expect(200));
    }
}

#[test]
fn no_secret_and_no_fingerprint_is_logged_or_answered_or_stands_in_a_url() {
    run(async {
        let mut redis = RedisServer::start_appendonly();
        let config = SimConfig { client_secret: CLIENT_SECRET.into(), ..SimConfig::default() };
        let sim = start_sim(config).await;
        let url = redis.url();
        let settings = [
            ("REDIS_URL", url.as_str()),
            ("GENESYS_CLIENT_SECRET", CLIENT_SECRET),
            ("OPERATOR_TOKEN", OPERATORS),
            ("ISSUE_KEYS", SITE),
            ("TOKEN_SEALING_KEY", SEALING),
            ("FINGERPRINT_KEY", HASHING),
            ("REQUEST_DEADLINE_MS", "500"),
            ("RETRY_BASE_DELAY_MS", "5"),
            ("REVOKE_MAX_ATTEMPTS", "2"),
            ("SWEEP_INTERVAL_MS", "100"),
            ("LOG_LEVEL", "debug"),
        ];
        // An access token that is known here, and that the simulator does not know.
        let token =
            format!(r#"{{"access_token":"{ACCESS}","token_type":"bearer","expires_in":99}}"#);
        let handed_out = Effect::Status { code: 200, retry_after: None, body: Some(token) };
        sim.fault(Fault::once(On::Token, handed_out));
        faults().into_iter().for_each(|fault| sim.fault(fault));
        let origin = Origin::start(&sim, &settings).await;
        let mut answers = Answers(String::new());
        busy(&origin, &mut answers).await;
        sim.revoke_tokens();
        redis.query::<()>(&["SCRIPT", "FLUSH"]);
        busy(&origin, &mut answers).await;
        redis.kill_hard();
        answers.note(&origin.send(&issue(&format!("{DEVICE}-0")).bearer(SITE)).await);
        redis.restart();
        eventually("it recovers", ms(10_000), async || {
            let reply = origin.send(&issue(&format!("{DEVICE}-9")).bearer(SITE)).await;
            answers.note(&reply);
            (reply.status == 201).then_some(())
        })
        .await;
        // The last lines are on their way.
        pause(ms(100)).await;

        let urls: String =
            sim.calls().iter().map(|call| format!("{}?{}\n", call.path, call.query)).collect();
        assert!(sim.calls().iter().any(|call| !call.authorization_ok), "{ACCESS} was not used");
        let log = origin.log();
        let seen = [("log", &log), ("answers", &answers.0), ("urls", &urls)];
        for (what, mark) in [("log", "/v1/devices/{fingerprint}/sessions"), ("answers", "_total")] {
            let (_, text) = seen.iter().find(|(name, _)| *name == what).expect("it is there");
            assert!(text.contains(mark), "no {mark} in the {what}: {text}");
        }
        let mut secrets: Vec<String> =
            [CLIENT_SECRET, OPERATORS, SITE, WRONG, ACCESS, SEALING, HASHING, IDEMPOTENCY, DEVICE]
                .map(str::to_owned)
                .into();
        for guest in sim.guests() {
            // Neither all of it nor what would be left of it.
            secrets.push(guest.token[..60].to_owned());
            secrets.push(guest.token[guest.token.len() - 40..].to_owned());
        }
        assert!(secrets.len() > 50, "nothing was issued");
        for (name, text) in seen {
            for secret in &secrets {
                let line = text.lines().find(|line| line.contains(secret.as_str()));
                assert_eq!(line, None, "{secret} stands in the {name}");
            }
        }
    });
}

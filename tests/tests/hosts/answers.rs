//! P6: one corpus of requests, good and bad, sent to both hosts; status, headers and body are the same.

use genesys_sim::{CallKind, Effect, Fault, On};
use guestpass_tests::edge::OnDoor;
use guestpass_tests::host::{Host, Launch as _, Settings, run, sessions};
use guestpass_tests::http_suite::{FRAGILE, GUARDED, OPEN, UNATTENDED};
use guestpass_tests::origin::OnRedis;
use guestpass_tests::wait::now_ms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::corpus;
use crate::mask::masked;
use crate::wire::{Case, Outcome};

/// Parts of requests that are answered otherwise at the edge, each with the reason. When one is answered alike
/// the test fails: the table is to shrink when a platform improves.
const DIFFERENT: &[(&str, &str)] = &[
    ("get /", NO_METHOD),
    ("Post /", NO_METHOD),
    ("FOO /", NO_METHOD),
    ("GETT /", NO_METHOD),
    ("G!T /", NO_METHOD),
    ("M-SEARCH /", NO_METHOD),
    ("CONNECT /", "workerd has another handler for CONNECT, which the Worker has not"),
    (r"\r\nzz\r\n", "hyper ends a connection whose chunks are broken, a Worker can only answer"),
    (r"HTTP/1.1\r\nConnection: close", NO_HOST),
    (r"Host:\r\n", NO_HOST),
    (r"HTTP/1.0\r\n\r\n", NO_HOST),
    ("Host: guestpass.test/v1", "workerd puts Host and path together, and the Worker sees one URL"),
    (
        r"\x7f",
        "hyper refuses a header with DEL in it, workerd lets it through and the Worker drops it",
    ),
];

const NO_HOST: &str = "workerd answers 400 to a request without Host";

const NO_METHOD: &str = "workerd answers 501 to a method that it does not know";

/// Why this request is answered otherwise at the edge.
fn known(case: &Case) -> Option<&'static str> {
    DIFFERENT.iter().find(|(part, _)| case.label.contains(part)).map(|(_, reason)| *reason)
}

/// A host, and the sessions it has issued: the names that later requests use.
struct Side {
    host: Host,
    sessions: Vec<(String, String)>,
}

impl Side {
    async fn send(&mut self, case: &Case) -> String {
        let names: Vec<_> = match (self.sessions.first(), self.sessions.last()) {
            (Some((guest0, token0)), Some((guest, token))) => vec![
                ("{guest0}", guest0.as_str()),
                ("{token0}", token0),
                ("{guest}", guest),
                ("{token}", token),
            ],
            _ => Vec::new(),
        };
        let outcome = case.send(self.host.addr, &names).await;
        let shown = masked(&outcome, &case.bytes);
        if let Outcome::Answer(reply) = &outcome
            && reply.status == 201
        {
            let body = reply.json();
            let text = |field: &str| body[field].as_str().expect("a session").to_owned();
            self.sessions.push((text("guestId"), text("guestToken")));
        }
        shown
    }
}

/// Both hosts, each with a store and a Genesys of its own.
struct Pair {
    origin: Side,
    edge: Side,
    sent: usize,
    wrong: Vec<String>,
}

impl Pair {
    async fn start(settings: Settings<'_>) -> Self {
        let (origin, edge) = tokio::join!(OnRedis.start(settings), OnDoor.start(settings));
        let [origin, edge] = [origin, edge].map(|host| Side { host, sessions: Vec::new() });
        Self { origin, edge, sent: 0, wrong: Vec::new() }
    }

    /// Sends the same to both.
    async fn compare(&mut self, cases: &[Case]) {
        for case in cases {
            let (at_origin, at_edge) = tokio::join!(self.origin.send(case), self.edge.send(case));
            let differs = at_origin != at_edge;
            if differs != known(case).is_some() {
                let what = if differs { "differs" } else { "is in the table, yet the same" };
                let both = format!("-- origin\n{at_origin}\n-- edge\n{at_edge}\n");
                self.wrong.push(format!("{:?} {what}\n{both}", case.label));
            }
            self.sent += 1;
        }
    }

    /// Sends the same to both while creates at Genesys fail in this way.
    async fn compare_with(&mut self, effect: &Effect, cases: &[Case]) {
        for host in [&self.origin.host, &self.edge.host] {
            host.sim.clear_faults();
            host.sim.fault(Fault::always(On::Create, effect.clone()));
        }
        self.compare(cases).await;
    }

    fn finish(self) {
        assert!(
            self.wrong.is_empty(),
            "{} of {}\n{}",
            self.wrong.len(),
            self.sent,
            self.wrong.join("\n")
        );
    }
}

fn compare(settings: Settings<'_>, cases: &[Case]) {
    run(async {
        let mut pair = Pair::start(settings).await;
        pair.compare(cases).await;
        pair.finish();
    });
}

#[test]
fn every_method_on_every_path_is_answered_alike() {
    compare(OPEN, &corpus::paths::methods());
}

#[test]
fn odd_targets_are_answered_alike() {
    compare(OPEN, &corpus::paths::targets());
}

#[test]
fn odd_headers_are_answered_alike() {
    compare(OPEN, &corpus::headers::open());
}

#[test]
fn odd_bodies_are_answered_alike() {
    compare(OPEN, &corpus::bodies::all());
}

#[test]
fn what_is_hardly_http_is_answered_alike() {
    compare(OPEN, &corpus::framing::all());
}

#[test]
fn a_sessions_life_is_answered_alike() {
    compare(OPEN, &corpus::life::open());
}

#[test]
fn sites_and_pages_are_answered_alike() {
    compare(GUARDED, &corpus::headers::guarded());
}

#[test]
fn without_an_operator_both_answer_alike() {
    compare(UNATTENDED, &corpus::paths::methods());
}

#[test]
fn failures_of_genesys_are_answered_alike() {
    run(async {
        let status = |code| Effect::Status { code, retry_after: None, body: None };
        let effects = [
            status(400),
            status(401),
            status(403),
            status(404),
            status(500),
            status(503),
            Effect::ResetBefore,
            Effect::ResetAfter,
            Effect::Hang { after_work: false },
            Effect::MalformedBody("nonsense".to_owned()),
            Effect::CutBody,
            Effect::DropField("id".to_owned()),
            Effect::DropField("guestToken".to_owned()),
        ];
        let mut pair = Pair::start(FRAGILE).await;
        for (n, effect) in effects.iter().enumerate() {
            pair.compare_with(effect, &corpus::life::refused(n)).await;
        }
        pair.finish();
    });
}

#[test]
fn a_rest_that_genesys_asks_for_is_told_alike() {
    run(async {
        let mut pair = Pair::start(FRAGILE).await;
        let retry_after = Some("30".to_owned());
        let rest = Effect::Status { code: 429, retry_after, body: None };
        pair.compare_with(&rest, &corpus::life::refused(0)).await;
        pair.finish();
    });
}

#[test]
fn limits_are_answered_alike() {
    run(async {
        let settings = [("RATE_LIMIT_PER_IP", "2"), ("RATE_LIMIT_PER_DEVICE", "1")];
        // Within one window of a minute; one that ends in between is tried again in the next.
        loop {
            let mut pair = Pair::start(&settings).await;
            let minute = now_ms() / 60_000;
            pair.compare(&corpus::life::limited()).await;
            if now_ms() / 60_000 == minute {
                return pair.finish();
            }
        }
    });
}

#[test]
fn a_body_that_breaks_off_makes_no_guest() {
    run(async {
        let pair = Pair::start(OPEN).await;
        for host in [&pair.origin.host, &pair.edge.host] {
            let target = sessions("device-cut-off");
            let cut =
                format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{{}}");
            let mut client = TcpStream::connect(host.addr).await.expect("it listens");
            client.write_all(cut.as_bytes()).await.expect("it reads");
            client.shutdown().await.expect("it is open");
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
            let _ = host.issue("device-cut-off").await.expect(201);
            assert_eq!(host.sim.count(CallKind::Create), 1);
        }
    });
}

#[test]
fn the_table_names_requests_of_the_corpus() {
    let corpus = [
        corpus::paths::methods(),
        corpus::paths::targets(),
        corpus::headers::open(),
        corpus::headers::guarded(),
        corpus::bodies::all(),
        corpus::framing::all(),
        corpus::life::open(),
    ]
    .concat();
    for (part, reason) in DIFFERENT {
        assert!(corpus.iter().any(|case| case.label.contains(part)), "{part}: {reason}");
    }
}

//! Load: a mix of all calls at the origin and through workerd. Memory and open files stay flat, nothing fails, and the
//! latencies are printed; thousands of idle connections keep nobody out.
//!
//! `PROOF_LOAD_SECONDS` is how long the mix lasts.

use std::time::Duration;

use guestpass_tests::door::{DOOR_TOKEN, door_url};
use guestpass_tests::edge::Edge;
use guestpass_tests::host::{issue, run};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::wait::{ms, now_ms, pause, within};
use guestpass_tests::world::{Dice, World};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::books::{Books, PREFIX};
use crate::forms::{number, seed};
use crate::visitors::{Load, Log, Plan};

const CAP: usize = 3;
/// What memory may grow by from the middle of a load to its end, in mebibytes: allocators and garbage collectors do not
/// give back at once. A leak of a kibibyte a request would be several times that in ten minutes.
const GROWTH_MIB: u64 = 24;
/// V8 lets its heap grow for a minute or two before it collects all of it.
const WARM_UP_MIB: u64 = 128;
const WARM_AFTER_SECONDS: u64 = 200;
/// Connections to Genesys, Redis and callers that may come and go.
const FILES: usize = 64;

/// How many idle connections there are, where the system lets us.
const IDLE: usize = 10_000;

#[test]
fn memory_and_files_stay_flat_under_a_mix_of_all_calls_at_both_hosts() {
    run(async {
        let seconds = number("PROOF_LOAD_SECONDS").unwrap_or(8);
        let mut dice = Dice::seeded(seed());
        let world = World::new().await;
        world.sim.set_latency(5, 5, 0);
        let quiet = ("LOG_LEVEL", "error");
        let origin = world.origin(&[("REDIS_REST_TOKEN", DOOR_TOKEN), quiet]).await;
        let edge = Edge::start(&world.sim, &door_url(origin.addr), &[quiet]).await;
        let processes = [("origin", origin.pid()), ("workerd", edge.pid())];
        let begin = |addr, dice: &mut Dice| {
            let plan = Plan { cap: CAP, ..Plan::on("loaded", 200, 12, ms(60)) };
            Load::begin(&[addr], plan, dice.split())
        };
        let loads = [begin(origin.addr, &mut dice), begin(edge.addr, &mut dice)];
        let mut samples = Vec::new();
        let begun = now_ms();
        let every = ms((seconds * 1000 / 100).clamp(100, 5000));
        while now_ms() < begun + seconds * 1000 {
            pause(every).await;
            samples.push(processes.map(|(_, pid)| Sample::of(pid)));
        }
        let [at_origin, at_edge] = loads;
        let logs =
            [("at the origin", at_origin.end().await), ("through workerd", at_edge.end().await)];
        for (title, log) in &logs {
            log.print(title);
            without_error(log);
        }
        for (n, (name, _)) in processes.into_iter().enumerate() {
            let own: Vec<_> = samples.iter().map(|sample| sample[n]).collect();
            let is_cold = name == "workerd" && seconds < WARM_AFTER_SECONDS;
            flat(name, &own, if is_cold { WARM_UP_MIB } else { GROWTH_MIB });
        }
        world.at_rest_within(ms(60_000)).await;
        let [(_, mut all), (_, more)] = logs;
        all.answered.extend(more.answered);
        all.abandoned.extend(more.abandoned);
        Books::of([&world.redis], PREFIX).must_balance(&world.sim, &all, CAP);
    });
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    mib: u64,
    files: usize,
}

impl Sample {
    fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
        Self { mib: kib.expect("resident memory") / 1024, files }
    }
}

/// Compares the middle of a load with its end: the beginning warms up.
fn flat(name: &str, samples: &[Sample], growth_mib: u64) {
    let fifths: Vec<_> = samples.chunks(samples.len().div_ceil(5)).map(median).collect();
    println!("{name}, by fifths of the time: {fifths:?}");
    let (middle, end) = (fifths[2], fifths[4]);
    assert!(end.mib <= middle.mib + growth_mib, "{name}'s memory grows: {fifths:?}");
    assert!(end.files <= middle.files + FILES, "{name}'s open files grow: {fifths:?}");
}

fn median(samples: &[Sample]) -> Sample {
    let middle = |mut values: Vec<u64>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    let files = middle(samples.iter().map(|sample| sample.files as u64).collect());
    Sample {
        mib: middle(samples.iter().map(|sample| sample.mib).collect()),
        files: usize::try_from(files).expect("a small number"),
    }
}

fn without_error(log: &Log) {
    let is_error = |status| status == 0 || status >= 500;
    let failed = log.entries.iter().find(|entry| is_error(entry.status));
    assert!(failed.is_none(), "{failed:?}");
    assert!(log.entries.len() > 500, "that was no load");
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    run(async {
        let limit = raise_open_files().await;
        let idle = IDLE.min(limit / 2);
        println!("{limit} files may be open; {idle} idle connections");
        let world = World::new().await;
        let origin = world.origin(&[("LOG_LEVEL", "error")]).await;
        let before = Sample::of(origin.pid());
        let mut connections = Vec::new();
        while connections.len() < idle {
            let some = (0..200).map(|_| TcpStream::connect(origin.addr));
            let some = futures_util::future::join_all(some).await;
            connections.extend(some.into_iter().map(|stream| stream.expect("it lets us in")));
        }
        // Every other one has had an answer before.
        for pair in connections.chunks_mut(200) {
            let asked = pair.iter_mut().step_by(2).map(async |stream| {
                stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: guestpass.test\r\n\r\n").await
            });
            for written in futures_util::future::join_all(asked).await {
                written.expect("it reads");
            }
        }
        eventually("all are let in", ms(20_000), async || {
            (Sample::of(origin.pid()).files + FILES > before.files + connections.len())
                .then_some(())
        })
        .await;
        let with = Sample::of(origin.pid());
        println!("{before:?} before, {with:?} with {} idle connections", connections.len());
        let mut worst = Duration::ZERO;
        for n in 0..100 {
            let request = issue(&format!("patient-device-{n}"));
            let (reply, took) = timed(within(ms(20_000), request.try_send(origin.addr))).await;
            let reply: Reply = reply.expect("it is answered").expect("it is let in");
            assert_eq!(reply.status, 201);
            worst = worst.max(took);
        }
        println!("the longest of 100 issues took {worst:?}");
        assert_eq!(Request::new("GET", "/readyz").send(origin.addr).await.status, 200);
        let thrown_out = connections.iter().skip(1).step_by(2).filter(|stream| {
            let read = stream.try_read(&mut [0]);
            !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        });
        assert_eq!(thrown_out.count(), 0, "thrown out although there is room");
        drop(connections);
        eventually("their files are closed", ms(20_000), async || {
            (Sample::of(origin.pid()).files <= before.files + FILES).then_some(())
        })
        .await;
    });
}

/// Has as many files open as the system allows, and says how many those are; processes that are started now may, too.
async fn raise_open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let numbers: Vec<usize> =
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[soft, hard] = &numbers[..] else { return 1024 };
    let raise = tokio::process::Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), format!("--nofile={hard}:{hard}")])
        .status();
    if raise.await.is_ok_and(|status| status.success()) { hard } else { soft }
}

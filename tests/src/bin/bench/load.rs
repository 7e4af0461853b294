//! A closed loop of issues: every connection asks again as soon as it has its answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use guestpass_tests::real_time::timed;
use guestpass_tests::wait::pause;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::{Service, World};

/// What a round brought. CPU includes the revocations that it left.
pub(crate) struct Round {
    issued: f64,
    seconds: f64,
    /// Milliseconds, in order.
    latencies: Vec<f64>,
    pub(crate) cpu_us: f64,
    pub(crate) redis_us: f64,
    round_trips: f64,
    creates: f64,
    owed: u64,
    others: u64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| {
            let index = self.latencies.len().saturating_sub(1) * percent / 100;
            self.latencies.get(index).copied().unwrap_or(f64::NAN)
        };
        let (p50, p95, p99) = (at(50), at(95), at(99));
        write!(f, "{:.0} | {p50:.1} | {p95:.1} | {p99:.1} | ", self.issued / self.seconds)?;
        write!(f, "{:.0} | {:.0} | {:.2} | ", self.cpu_us, self.redis_us, self.round_trips)?;
        write!(f, "{:.2} | {} | {}", self.creates, self.owed, self.others)
    }
}

/// How much is asked for, how often and how long.
pub(crate) struct Load {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) connections: usize,
}

/// What the connections share.
struct Shared {
    addr: SocketAddr,
    devices: u64,
    next: AtomicU64,
    is_over: AtomicBool,
}

/// Asks for so long, for so many devices in turn. Few devices are filled before.
pub(crate) async fn round(
    world: &World,
    service: &Service,
    connections: usize,
    seconds: u64,
    devices: u64,
) -> Round {
    let load =
        Shared { addr: service.addr, devices, next: AtomicU64::new(0), is_over: false.into() };
    let full = if devices == u64::MAX { 1000 } else { devices.saturating_mul(3) };
    run(&load, connections, async {
        while load.next.load(Ordering::Relaxed) < full {
            pause(Duration::from_millis(10)).await;
        }
    })
    .await;
    world.drained().await;
    let (cpu, redis, trips) = (service.cpu_us(), world.redis_cpu_us(), world.round_trips());
    let created = world.genesys_calls().0;
    let measured = run(&load, connections, pause(Duration::from_secs(seconds)));
    let (answers, took) = timed(measured).await;
    let owed = world.owed();
    world.drained().await;
    let mut latencies: Vec<_> =
        answers.iter().filter(|(is_issued, _)| *is_issued).map(|(_, ms)| *ms).collect();
    latencies.sort_by(f64::total_cmp);
    let issued = latencies.len() as f64;
    Round {
        issued,
        seconds: took.as_secs_f64(),
        cpu_us: (service.cpu_us() - cpu) / issued,
        redis_us: (world.redis_cpu_us() - redis) / issued,
        round_trips: (world.round_trips() - trips) as f64 / issued,
        creates: (world.genesys_calls().0 - created) as f64 / issued,
        owed,
        others: (answers.len() - latencies.len()) as u64,
        latencies,
    }
}

/// Runs all connections until `over`; whether each answer was a session, and its milliseconds.
async fn run(
    load: &Shared,
    connections: usize,
    over: impl Future<Output = ()>,
) -> Vec<(bool, f64)> {
    load.is_over.store(false, Ordering::Relaxed);
    let ends = async {
        over.await;
        load.is_over.store(true, Ordering::Relaxed);
    };
    let all = join_all((0..connections).map(|_| connection(load)));
    let ((), answers) = futures_util::future::join(ends, all).await;
    answers.into_iter().flatten().collect()
}

async fn connection(load: &Shared) -> Vec<(bool, f64)> {
    let mut stream = TcpStream::connect(load.addr).await.expect("guestpass takes connections");
    stream.set_nodelay(true).expect("a socket can be set");
    let mut answers = Vec::new();
    let mut buffer = Vec::new();
    while !load.is_over.load(Ordering::Relaxed) {
        let device = load.next.fetch_add(1, Ordering::Relaxed) % load.devices;
        let request = format!(
            "POST /v1/devices/device-{device:012}/sessions HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n"
        );
        let (is_issued, took) = timed(exchange(&mut stream, &request, &mut buffer)).await;
        answers.push((is_issued, took.as_secs_f64() * 1000.0));
    }
    answers
}

/// Sends a request and reads its answer; whether that is 201.
async fn exchange(stream: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    stream.write_all(request.as_bytes()).await.expect("guestpass reads");
    loop {
        assert!(stream.read_buf(buffer).await.expect("guestpass answers") > 0, "it hung up");
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if buffer.len() >= end + 4 + length {
            return head.starts_with("http/1.1 201");
        }
    }
}

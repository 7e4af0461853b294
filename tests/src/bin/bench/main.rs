//! What guestpass costs on this machine, as tables. `scripts/bench` builds it and says how to read them.

mod growth;
mod load;
mod service;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::growth::Sizes;
use crate::load::Load;
use crate::service::World;

const HELP: &str = "\
Measures guestpass on this machine, against a redis-server and a simulated Genesys of its own, all on loopback.

Usage: scripts/bench [--quick | --full]
  (neither)  a minute or two
  --quick    a few seconds: whether everything runs, no figures to keep
  --full     1,000,000 devices and 100,000 revocations; several minutes and about 3 GB of memory

Rates and times depend on what else the machine does. CPU for each issue and the counts hardly do.";

/// How much is measured.
struct Plan {
    load: Load,
    sizes: Sizes,
}

const QUICK: Plan = Plan {
    load: Load { rounds: 1, seconds: 1, connections: 16 },
    sizes: Sizes { devices: 2_000, pending: 2_000, due: 2_000 },
};
const NORMAL: Plan = Plan {
    load: Load { rounds: 3, seconds: 4, connections: 64 },
    sizes: Sizes { devices: 100_000, pending: 20_000, due: 20_000 },
};
const FULL: Plan = Plan {
    load: Load { rounds: 5, seconds: 4, connections: 64 },
    sizes: Sizes { devices: 1_000_000, pending: 100_000, due: 100_000 },
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => NORMAL,
        ["--quick"] => QUICK,
        ["--full"] => FULL,
        ["--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("no threads can be started").block_on(measure(&plan));
    ExitCode::SUCCESS
}

async fn measure(plan: &Plan) {
    println!("{}\n", machine());
    // First, while this process holds nothing that it could use again.
    let embedded = growth::embedded_memory(plan.sizes.devices.min(100_000)).await;
    let Load { rounds, seconds, connections } = plan.load;
    start(rounds).await;
    println!(
        "## Issues: {connections} connections, each asking again at once; best of {rounds} rounds of {seconds} s\n"
    );
    println!(
        "| | 201/s | p50 ms | p95 | p99 | CPU us an issue | Redis' | round trips | creates | revocations owed at the end | other answers |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, devices) in [("fresh devices", u64::MAX), ("full devices, each issue evicts", 1000)]
    {
        let mut all = Vec::new();
        for _ in 0..rounds {
            let world = World::start().await;
            let service = world.service(&[]).await;
            all.push(load::round(&world, &service, connections, seconds, devices).await);
            service.end().await;
        }
        let best = all.into_iter().min_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
        println!("| {name} | {} |", best.expect("at least one round"));
    }
    println!();
    growth::tables(&plan.sizes, &plan.load, embedded).await;
}

/// How fast it is there, and how big it is.
async fn start(rounds: usize) {
    let world = World::start().await;
    let mut ready = Vec::new();
    let mut idle_kb = 0;
    for _ in 0..rounds.max(3) {
        let service = world.service(&[]).await;
        ready.push(service.ready_ms);
        idle_kb = service.memory_kb("VmRSS");
        service.end().await;
    }
    ready.sort_by(f64::total_cmp);
    let size = std::fs::metadata(binary()).map_or(0, |file| file.len());
    println!("## At rest\n");
    println!(
        "| ready after, ms (median) | resident memory, MB | binary, MB |\n| --- | --- | --- |"
    );
    let (median, mb) =
        (ready[ready.len() / 2], |kb: u64| f64::from(u32::try_from(kb).unwrap_or(0)) / 1024.0);
    println!("| {median:.0} | {:.1} | {:.1} |\n", mb(idle_kb), mb(size / 1024));
}

/// The server to be measured: `GUESTPASS_BIN`, or the one that lies beside this program.
fn binary() -> PathBuf {
    let beside = || {
        let here = std::env::current_exe().expect("this program has a path");
        here.with_file_name("guestpass")
    };
    std::env::var_os("GUESTPASS_BIN").map_or_else(beside, PathBuf::from)
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores, {cpu}, {memory}; load average before the start {load}")
}

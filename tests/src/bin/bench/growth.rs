//! What grows with what: the cost of an issue with the devices and revocations there are, a sweep with what is
//! due, and memory with the sessions.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::embedded::EmbeddedStore;
use guestpass_core::store::ops::{Commit, StoredToken};
use guestpass_core::store::redis::{Keys, RedisStore};
use guestpass_server::kv::RedisKv;
use guestpass_tests::real_time::{eventually, timed};
use guestpass_tests::scene::{START, Scene, device, guest};
use guestpass_tests::wait::now_ms;

use crate::load::{Load, round};
use crate::service::World;

/// How much there is of what.
pub(crate) struct Sizes {
    pub(crate) devices: u64,
    pub(crate) pending: u64,
    pub(crate) due: u64,
}

/// Issues under way at once.
const AT_ONCE: usize = 64;

/// About as long as a guest token of Genesys, in bytes.
const TOKEN_BYTES: usize = 500;

const SESSIONS: u64 = 3;

/// Gives each device of a range these sessions in a store, one after the other.
async fn fill<S: SessionStore>(
    scene: &Scene<'_, S>,
    name: &str,
    devices: std::ops::Range<u64>,
    sessions: std::ops::Range<u64>,
) {
    let issue = |n: u64| {
        let sessions = sessions.clone();
        async move {
            let device = device(&format!("{name}-{n:08}"));
            for session in sessions {
                let flight = scene.flight();
                scene.admit(&device, &flight).await;
                // Ids as long as Genesys': 36 characters.
                let guest = guest(&format!("{name:>08}-{n:012}-{session:014}").replace(' ', "0"));
                let token =
                    StoredToken { text: Secret::new("t".repeat(TOKEN_BYTES)), sha256: None };
                let commit = Commit {
                    device: &device,
                    flight: &flight,
                    guest: &guest,
                    token: &token,
                    idempotency: None,
                };
                scene.store.commit(scene.at(), &commit).await.expect("the store commits");
            }
        }
    };
    stream::iter(devices).for_each_concurrent(AT_ONCE, issue).await;
}

/// Prints them. `embedded` is what [`embedded_memory`] found.
pub(crate) async fn tables(sizes: &Sizes, load: &Load, embedded: f64) {
    issues(sizes, load).await;
    sweeping(sizes.due).await;
    println!("## Memory, with guest tokens of {TOKEN_BYTES} bytes\n");
    println!(
        "| Redis, bytes a device with {SESSIONS} sessions | a plain set of id and token | EmbeddedStore, bytes a session |"
    );
    println!("| --- | --- | --- |");
    let (ours, plain) = redis_memory(sizes.devices.min(50_000)).await;
    println!("| {ours:.0} | {plain:.0} ({:.2}x) | {embedded:.0} |\n", ours / plain);
}

fn store(world: &World) -> RedisStore<RedisKv> {
    let kv = RedisKv::new(&world.redis.target()).expect("a valid URL");
    RedisStore::new(kv, Keys::new("msg:guest:", 1))
}

/// What an issue that evicts costs beside so many devices and revocations.
async fn issues(sizes: &Sizes, load: &Load) {
    println!(
        "## The cost of an issue that evicts, as guestpass grows: the least of {} rounds\n",
        load.rounds
    );
    println!(
        "| devices | revocations pending | CPU us an issue | Redis' |\n| --- | --- | --- | --- |"
    );
    let mut world = World::start().await;
    let store = store(&world);
    let mut scene = Scene::new(&store);
    // They are to live while this runs.
    scene.now = i64::try_from(now_ms() - START).expect("a time of this century");
    row(&world, load).await;
    let full = 10;
    fill(&scene, "pend", 0..full, 0..SESSIONS + sizes.pending / full).await;
    world.park_revocations(now_ms() + 3_600_000);
    row(&world, load).await;
    fill(&scene, "many", 0..sizes.devices, 0..1).await;
    row(&world, load).await;
    println!();
}

async fn row(world: &World, load: &Load) {
    let (mut cpu, mut redis) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..load.rounds {
        let service = world.service(&[]).await;
        world.scanned().await;
        let round = round(world, &service, load.connections, load.seconds, 1000).await;
        (cpu, redis) = (cpu.min(round.cpu_us), redis.min(round.redis_us));
        service.end().await;
    }
    let devices: u64 = world.redis.query(&["ZCARD", "msg:guest::due"]);
    println!("| {devices} | {} | {cpu:.0} | {redis:.0} |", world.parked);
}

/// A service finds so many devices due.
async fn sweeping(due: u64) {
    let world = World::start().await;
    let store = store(&world);
    let mut scene = Scene::new(&store);
    let expired = now_ms() - START - 2 * scene.limits.ttl_ms;
    scene.now = i64::try_from(expired).expect("a time of this century");
    fill(&scene, "due", 0..due, 0..1).await;
    let service = world.service(&[]).await;
    let left = async || {
        let left: u64 = world.redis.query(&["ZCARD", "msg:guest::due"]);
        (left == 0).then_some(())
    };
    let ((), took) = timed(eventually("all expire", Duration::from_secs(600), left)).await;
    let ((), revoking) = timed(world.drained()).await;
    let all = took + revoking;
    println!("## A sweep of {due} due devices\n");
    println!("| devices/s | revoked after, s | most memory, MB |\n| --- | --- | --- |");
    let mb = service.memory_kb("VmHWM") / 1024;
    println!("| {:.0} | {:.1} | {mb} |\n", due as f64 / took.as_secs_f64(), all.as_secs_f64());
    service.end().await;
}

/// Bytes for each device: ours, and the least that holds ids and tokens.
async fn redis_memory(devices: u64) -> (f64, f64) {
    let each = |world: &World, before: f64| {
        (world.redis_number("memory", "used_memory") - before) / devices as f64
    };
    let world = World::start().await;
    let store = store(&world);
    let scene = Scene::new(&store);
    fill(&scene, "warm", 0..1, 0..SESSIONS).await;
    let before = world.redis_number("memory", "used_memory");
    fill(&scene, "mem", 0..devices, 0..SESSIONS).await;
    let ours = each(&world, before);

    let world = World::start().await;
    let before = world.redis_number("memory", "used_memory");
    let token = "t".repeat(TOKEN_BYTES);
    let script = "for d = ARGV[1], ARGV[2] - 1 do
        local key = string.format('msg:guest:device-mem-%08d', d)
        for s = 0, ARGV[3] - 1 do
          local id = string.format('00000mem-%012d-%014d', d, s)
          redis.call('ZADD', key, 1750000020000 + s, '{\"guestId\":\"' .. id .. '\",\"guestToken\":\"' .. ARGV[4] .. '\"}')
        end
        redis.call('EXPIRE', key, 3600)
      end";
    for first in (0..devices).step_by(1000) {
        let last = devices.min(first + 1000);
        let [first, last, sessions] = [first, last, SESSIONS].map(|n| n.to_string());
        world.redis.query::<()>(&["EVAL", script, "0", &first, &last, &sessions, &token]);
    }
    (ours, each(&world, before))
}

/// Bytes of this process for each session.
pub(crate) async fn embedded_memory(sessions: u64) -> f64 {
    let store = EmbeddedStore::new();
    let scene = Scene::new(&store);
    let before = resident_bytes();
    fill(&scene, "mem", 0..sessions / SESSIONS, 0..SESSIONS).await;
    (resident_bytes() - before) / sessions as f64
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

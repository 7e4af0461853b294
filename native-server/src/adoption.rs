//! Adoption: at start, every device of this deployment that has no expiry (the data of a service that was
//! replaced in place) gets one, so that it expires without being touched.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use guestpass_core::names::DeviceKey;
use guestpass_core::seams::{Clock as _, GuestProvider, StoreFault};
use guestpass_core::store::redis::{Keys, RedisStore};
use redis::{Value, from_redis_value};

use crate::clock::SystemClock;
use crate::kv::{RedisKv, fault};
use crate::origin::Origin;

/// One page of a scan, without the devices that have an expiry already. As a script it runs where the
/// shard's keys are, in a Cluster too, and costs one round trip a page.
///
/// KEYS: the shard's sorted set of due devices. ARGV: the cursor, the pattern, how many keys to look at,
/// what every key of the shard begins with. Returns the next cursor and the keys.
const SCAN: &str = r"
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', 'zset')
local found = {}
for _, key in ipairs(page[2]) do
  if not redis.call('ZSCORE', KEYS[1], string.sub(key, #ARGV[4] + 1)) then
    found[#found + 1] = key
  end
end
return {page[1], found}";

/// Keys looked at by one page, which is how long Redis does nothing else: well under a millisecond.
const PAGE: usize = 500;
/// Rest between two pages: this is no hurry, and Redis has other work.
const REST: Duration = Duration::from_millis(5);
/// Devices that are adopted at once.
const CONCURRENCY: usize = 8;
/// The wait after a fault.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Starts the scan; it is tried again until it went through once, or the origin stops.
pub fn spawn<P: GuestProvider>(origin: &Arc<Origin<RedisStore<RedisKv>, P>>, kv: RedisKv) {
    let scanner = origin.clone();
    origin.spawn_sweeper(async move {
        tokio::select! {
            () = scan_until_done(&scanner, &kv) => {}
            () = scanner.stopped() => {}
        }
    });
}

async fn scan_until_done<P: GuestProvider>(origin: &Origin<RedisStore<RedisKv>, P>, kv: &RedisKv) {
    let mut has_failed = false;
    loop {
        match scan(origin, kv).await {
            Ok(0) => return tracing::debug!("every device has an expiry"),
            Ok(adopted) => {
                return tracing::info!(adopted, "devices without an expiry were given one");
            }
            Err(error) if has_failed => {
                tracing::debug!(%error, "the scan for devices without an expiry failed")
            }
            Err(error) => {
                has_failed = true;
                tracing::warn!(%error, "the scan for devices without an expiry failed; it is tried again until it succeeds");
            }
        }
        SystemClock.sleep(AGAIN_AFTER).await;
    }
}

/// Scans all shards; answers how many devices were adopted.
async fn scan<P: GuestProvider>(
    origin: &Origin<RedisStore<RedisKv>, P>,
    kv: &RedisKv,
) -> Result<usize, StoreFault> {
    let keys = origin.app.store().keys();
    let mut adopted = 0;
    for (shard, pattern) in keys.shards().zip(keys.scan_patterns()) {
        let mut cursor = "0".to_owned();
        let mut pages: u64 = 0;
        loop {
            let (next, devices) = page(keys, kv, shard, &pattern, &cursor).await?;
            let adopt = |device: DeviceKey| async move { origin.app.adopt(&device).await };
            let mut adoptions = stream::iter(devices).map(adopt).buffer_unordered(CONCURRENCY);
            while let Some(outcome) = adoptions.next().await {
                outcome?;
                adopted += 1;
            }
            pages += 1;
            if pages.is_multiple_of(1000) {
                tracing::info!(
                    shard,
                    pages,
                    adopted,
                    "still scanning for devices without an expiry"
                );
            }
            if next == "0" {
                break;
            }
            cursor = next;
            SystemClock.sleep(REST).await;
        }
    }
    Ok(adopted)
}

async fn page(
    keys: &Keys,
    kv: &RedisKv,
    shard: u32,
    pattern: &str,
    cursor: &str,
) -> Result<(String, Vec<DeviceKey>), StoreFault> {
    let mut command = redis::cmd("EVAL");
    command
        .arg(SCAN)
        .arg(1)
        .arg(keys.due(shard))
        .arg(cursor)
        .arg(pattern)
        .arg(PAGE)
        .arg(keys.base(shard));
    let reply = kv.command(&command).await.map_err(|error| fault(&error))?;
    let (next, found): (String, Vec<Value>) = from_redis_value(reply)
        .map_err(|_| StoreFault::Unreadable("a page of a scan".to_owned()))?;
    // A name that is not text is no device's.
    let names = found.into_iter().filter_map(|name| from_redis_value::<String>(name).ok());
    Ok((next, names.filter_map(|name| keys.device_of(&name)).collect()))
}

//! The books: what a store knows of guests, read key by key from its Redis servers, and whether that balances
//! with the simulator's ledger as promise P2 says.

use std::collections::{BTreeMap, BTreeSet};

use genesys_sim::Sim;
use guestpass_tests::redis_server::RedisServer;
use serde_json::Value;

use crate::visitors::Log;

/// The default prefix of keys.
pub(crate) const PREFIX: &str = "msg:guest:";

/// What stands in Redis about guests.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Guests in a device's set, and the device.
    pub(crate) tracked: BTreeMap<String, String>,
    /// Guests with a pending revocation.
    pub(crate) pending: BTreeSet<String>,
    /// Guests with a stuck revocation.
    pub(crate) stuck: BTreeSet<String>,
    /// Creates in flight.
    pub(crate) flights: u64,
    /// Counters, added up over all shards.
    pub(crate) counters: BTreeMap<String, u64>,
}

/// How books and ledger compare.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// Guests that live at Genesys and that the store does not know.
    pub(crate) strays: BTreeSet<String>,
    /// Guests that somebody was answered with and that are nowhere.
    pub(crate) lost: BTreeSet<String>,
    /// Guests in a device's set that do not live any more.
    pub(crate) dead: BTreeSet<String>,
    /// Guests of which the store knows only that they may exist, creates in flight among them.
    pub(crate) orphaned: u64,
    /// Devices with more sessions than these.
    pub(crate) crowded: Vec<(String, usize)>,
}

impl Books {
    /// Reads everything under a prefix. Sets are read in the order in which guests go through them, so that one
    /// that moves meanwhile is seen at least once; an operator who retries a stuck one must wait.
    ///
    /// # Panics
    /// When a server does not answer, or a session is no JSON.
    #[must_use]
    pub(crate) fn of<'a>(servers: impl IntoIterator<Item = &'a RedisServer>, prefix: &str) -> Self {
        let mut books = Self::default();
        let base = prefix.trim_end_matches(':');
        for server in servers {
            let mut keys: Vec<String> = server.query(&["KEYS", &format!("{prefix}*")]);
            // Devices first: their last part is not empty before it.
            keys.sort_by_key(|key| key.contains("::"));
            for key in &keys {
                let (shard, name) = key.rsplit_once(':').expect("keys have parts");
                let is_of = |shard: &str| {
                    let shard = shard.trim_start_matches(base).trim_start_matches(':');
                    shard.is_empty() || (shard.starts_with('{') && shard.ends_with('}'))
                };
                if !shard.ends_with(':') && is_of(shard) {
                    books.read_device(server, key, name);
                }
            }
            let globals = |name: &str| -> Vec<String> {
                let suffix = format!("::{name}");
                keys.iter().filter(|key| key.ends_with(&suffix)).cloned().collect()
            };
            for key in globals("jobs") {
                books.pending.extend(server.query::<Vec<String>>(&["HKEYS", &key]));
            }
            for key in globals("stuck") {
                books.stuck.extend(server.query::<Vec<String>>(&["HKEYS", &key]));
            }
            for key in globals("flights") {
                books.flights += server.query::<u64>(&["ZCARD", &key]);
            }
            for key in globals("stats") {
                for (name, count) in server.query::<Vec<(String, u64)>>(&["HGETALL", &key]) {
                    *books.counters.entry(name).or_default() += count;
                }
            }
        }
        books
    }

    fn read_device(&mut self, server: &RedisServer, key: &str, name: &str) {
        for member in server.query::<Vec<String>>(&["ZRANGE", key, "0", "-1"]) {
            let member: Value = serde_json::from_str(&member).expect("a session is JSON");
            let guest = member["guestId"].as_str().expect("a session has a guest");
            self.tracked.insert(guest.to_owned(), name.to_owned());
        }
    }

    /// A counter.
    #[must_use]
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Whether nothing is under way: no create in flight, no revocation pending.
    #[must_use]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.flights == 0 && self.pending.is_empty()
    }

    /// The sessions of each device.
    #[must_use]
    pub(crate) fn by_device(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut devices = BTreeMap::<_, Vec<_>>::new();
        for (guest, device) in &self.tracked {
            devices.entry(device.as_str()).or_default().push(guest.as_str());
        }
        devices
    }

    /// Compares with the ledger, which is read now: no request may be under way since the books were read.
    #[must_use]
    pub(crate) fn compare(&self, sim: &Sim, log: &Log, cap: usize) -> Balance {
        let alive: BTreeSet<_> = sim.live_guests().into_iter().map(|guest| guest.id).collect();
        let is_known = |guest: &String| {
            self.tracked.contains_key(guest)
                || self.pending.contains(guest)
                || self.stuck.contains(guest)
                || log.abandoned.contains(guest)
        };
        let devices = self.by_device();
        let crowded = devices.iter().filter(|(_, guests)| guests.len() > cap);
        Balance {
            strays: alive.iter().filter(|guest| !is_known(guest)).cloned().collect(),
            lost: log
                .answered
                .keys()
                .filter(|id| alive.contains(*id) && !is_known(id))
                .cloned()
                .collect(),
            dead: self.tracked.keys().filter(|guest| !alive.contains(*guest)).cloned().collect(),
            orphaned: self.counter("orphaned") + self.flights,
            crowded: crowded.map(|(device, guests)| ((*device).to_owned(), guests.len())).collect(),
        }
    }

    /// Checks that every guest anybody was answered with is accounted for, that no more guests live unknown than
    /// are counted as orphaned, that no device has more sessions than its cap, and that what left the devices is
    /// what was counted. For stores that have lost nothing.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn must_balance(&self, sim: &Sim, log: &Log, cap: usize) -> Balance {
        let balance = self.compare(sim, log, cap);
        let orphaned = balance.orphaned;
        assert!(balance.lost.is_empty(), "answered, and then lost: {:?}", balance.lost);
        assert!(
            balance.strays.len() as u64 <= orphaned,
            "{orphaned} orphans counted, but there are {:?}",
            balance.strays
        );
        assert!(balance.dead.is_empty(), "revoked, yet in a device's set: {:?}", balance.dead);
        assert!(balance.crowded.is_empty(), "beyond the cap of {cap}: {:?}", balance.crowded);
        for (key, guests) in &log.keys {
            assert!(guests.len() <= 1, "one idempotency key, several guests: {key} {guests:?}");
        }
        balance
    }
}

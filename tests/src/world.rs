//! What a test of several processes has of its own: a Redis, a simulator, and hosts that share them; and how to
//! look at both.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use genesys_sim::{Sim, SimConfig};
use serde_json::Value;

use crate::host::{Settings, issue, sessions, start_sim};
use crate::http_client::Request;
use crate::http_suite::Session;
use crate::origin::Origin;
use crate::real_time::eventually;
use crate::redis_server::RedisServer;
use crate::wait::{ms, pause, within};

/// A Redis and a Genesys that nobody else uses, so that keys have the default prefix.
pub struct World {
    /// The Redis.
    pub redis: RedisServer,
    /// The Genesys.
    pub sim: Sim,
}

impl World {
    /// Starts both.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn new() -> Self {
        Self { redis: RedisServer::start(), sim: start_sim(SimConfig::default()).await }
    }

    /// One more process on them.
    pub async fn origin(&self, settings: Settings<'_>) -> Origin {
        let url = self.redis.url();
        Origin::start(&self.sim, &[&[("REDIS_URL", url.as_str())], settings].concat()).await
    }

    /// A device's guests as they stand in its sorted set, oldest first.
    #[must_use]
    pub fn tracked(&self, fingerprint: &str) -> Vec<String> {
        let key = format!("msg:guest:{fingerprint}");
        let members: Vec<String> = self.redis.query(&["ZRANGE", &key, "0", "-1"]);
        members.iter().map(|member| guest_of(member)).collect()
    }

    /// The guests whose revocation is pending or stuck.
    #[must_use]
    pub fn to_be_revoked(&self) -> BTreeSet<String> {
        let keys = |key| self.redis.query::<Vec<String>>(&["HKEYS", key]);
        keys("msg:guest::jobs").into_iter().chain(keys("msg:guest::stuck")).collect()
    }

    /// A counter, as the scripts keep it.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let count: Option<u64> = self.redis.query(&["HGET", "msg:guest::stats", name]);
        count.unwrap_or(0)
    }

    /// Waits until no create is in flight and no revocation pending.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn at_rest(&self) {
        self.at_rest_within(ms(20_000)).await;
    }

    /// The same, with another limit.
    ///
    /// # Panics
    /// When that takes longer.
    pub async fn at_rest_within(&self, limit: Duration) {
        eventually("nothing is under way", limit, async || {
            let left = |key| self.redis.query::<u64>(&["ZCARD", key]);
            (left("msg:guest::flights") + left("msg:guest::outbox") == 0).then_some(())
        })
        .await;
    }

    /// The guests that live, by Genesys's own ledger.
    #[must_use]
    pub fn alive(&self) -> BTreeSet<String> {
        self.sim.live_guests().into_iter().map(|guest| guest.id).collect()
    }
}

/// The guest's id in a member of a sorted set.
fn guest_of(member: &str) -> String {
    let member: Value = serde_json::from_str(member).expect("a member is JSON");
    member["guestId"].as_str().expect("a member has a guestId").to_owned()
}

/// Asks a host for a session with an empty body.
pub async fn issued(host: SocketAddr, fingerprint: &str) -> Session {
    Session::of(&issue(fingerprint).send(host).await)
}

/// Asks a host for a session until the device is not busy any more.
///
/// # Panics
/// When it stays busy for longer than `limit`.
pub async fn issued_when_free(host: SocketAddr, fingerprint: &str, limit: Duration) -> Session {
    let session = within(limit, async {
        loop {
            let reply = issue(fingerprint).send(host).await;
            if reply.status != 429 {
                return Session::of(&reply);
            }
            assert!(reply.problem(429, "device_busy").retry_after.is_some());
            pause(ms(10)).await;
        }
    });
    session.await.unwrap_or_else(|| panic!("{fingerprint} stays busy"))
}

/// A request of the guest, for its own session.
#[must_use]
pub fn own(method: &str, fingerprint: &str, session: &Session, what: &str) -> Request {
    let target = format!("{}/{}{what}", sessions(fingerprint), session.guest_id);
    Request::new(method, &target).bearer(&session.token)
}

/// A small generator for loads (SplitMix64); a seed gives the same choices again.
pub struct Dice(u64);

impl Dice {
    /// Begins with this seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// One of these, if there is one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(of.len().max(1) as u64);
        of.get(usize::try_from(at).unwrap_or_default())
    }

    /// Another one, for a task of its own.
    #[must_use]
    pub const fn split(&mut self) -> Self {
        Self::seeded(self.below(u64::MAX))
    }
}

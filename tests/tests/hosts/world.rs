//! What each test of both hosts has of its own: a Redis, a simulator, and origins and workerds that share them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use genesys_sim::{Sim, SimConfig};
use guestpass_tests::edge::{DOOR_TOKEN, Edge, door_url};
use guestpass_tests::host::{OPERATOR, Settings, issue, sessions, start_sim};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::{ms, now_ms, pause};
use serde_json::Value;

/// A sweeper that is off.
pub(crate) const UNSWEPT: (&str, &str) = ("SWEEP_INTERVAL_MS", "3600000");

/// A Redis and a Genesys that nobody else uses, so that keys have the default prefix.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) sim: Sim,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { redis: RedisServer::start(), sim: start_sim(SimConfig::default()).await }
    }

    /// An origin that is the door to its Redis, too.
    pub(crate) async fn origin(&self, settings: Settings<'_>) -> Origin {
        let url = self.redis.url();
        let own = [("REDIS_URL", url.as_str()), ("REDIS_REST_TOKEN", DOOR_TOKEN)];
        Origin::start(&self.sim, &[&own[..], settings].concat()).await
    }

    /// A workerd behind this origin's door.
    pub(crate) async fn edge(&self, door: &Origin, settings: Settings<'_>) -> Edge {
        Edge::start(&self.sim, &door_url(door.addr), settings).await
    }

    /// The same, with a cron trigger that never fires.
    pub(crate) async fn edge_without_cron(&self, door: &Origin, settings: Settings<'_>) -> Edge {
        Edge::start_without_cron(&self.sim, &door_url(door.addr), settings).await
    }

    /// A device's guests as they stand in its sorted set, oldest first.
    pub(crate) fn tracked(&self, fingerprint: &str) -> Vec<String> {
        let members: Vec<String> =
            self.redis.query(&["ZRANGE", &format!("msg:guest:{fingerprint}"), "0", "-1"]);
        let guest = |member: &String| {
            let member: Value = serde_json::from_str(member).expect("a member is JSON");
            member["guestId"].as_str().expect("a member has a guestId").to_owned()
        };
        members.iter().map(guest).collect()
    }

    /// The guests whose revocation is pending or stuck.
    pub(crate) fn to_be_revoked(&self) -> BTreeSet<String> {
        let keys = |key| self.redis.query::<Vec<String>>(&["HKEYS", key]);
        keys("msg:guest::jobs").into_iter().chain(keys("msg:guest::stuck")).collect()
    }

    /// The creates that are in flight.
    pub(crate) fn in_flight(&self) -> Vec<String> {
        self.redis.query(&["ZRANGE", "msg:guest::flights", "0", "-1"])
    }

    /// A counter, as the scripts keep it.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let count: Option<u64> = self.redis.query(&["HGET", "msg:guest::stats", name]);
        count.unwrap_or(0)
    }

    /// Waits until no create is in flight and no revocation pending. One that failed several times waits for
    /// up to a minute before it is tried again.
    pub(crate) async fn at_rest(&self) {
        eventually("nothing is under way", ms(150_000), async || {
            let left = |key| self.redis.query::<u64>(&["ZCARD", key]);
            (left("msg:guest::flights") + left("msg:guest::outbox") == 0).then_some(())
        })
        .await;
    }

    /// The guests that live, by Genesys's own ledger.
    pub(crate) fn alive(&self) -> BTreeSet<String> {
        self.sim.live_guests().into_iter().map(|guest| guest.id).collect()
    }

    /// Waits until Genesys has been told to invalidate a guest.
    pub(crate) async fn revoked(&self, guest_id: &str) {
        eventually("the guest is revoked", ms(15_000), async || {
            self.sim.invalidated(guest_id).then_some(())
        })
        .await;
    }
}

/// Asks a host for a session with an empty body.
pub(crate) async fn issued(host: SocketAddr, fingerprint: &str) -> Session {
    Session::of(&issue(fingerprint).send(host).await)
}

/// Asks a host for a session until the device is not busy any more.
pub(crate) async fn issued_when_free(host: SocketAddr, fingerprint: &str) -> Session {
    let give_up = now_ms() + 60_000;
    loop {
        let reply = issue(fingerprint).send(host).await;
        if reply.status != 429 {
            return Session::of(&reply);
        }
        assert!(reply.problem(429, "device_busy").retry_after.is_some());
        assert!(now_ms() < give_up, "{fingerprint} stays busy");
        pause(ms(10)).await;
    }
}

/// An operator's request without a body.
pub(crate) async fn operate(host: SocketAddr, method: &str, target: &str) -> Reply {
    Request::new(method, target).bearer(OPERATOR).send(host).await
}

/// A device's sessions as a host lists them.
pub(crate) async fn listed(host: SocketAddr, fingerprint: &str) -> Value {
    operate(host, "GET", &sessions(fingerprint)).await.expect(200).json()
}

/// A request of the guest, for its own session.
pub(crate) fn own(method: &str, fingerprint: &str, session: &Session, what: &str) -> Request {
    let target = format!("{}/{}{what}", sessions(fingerprint), session.guest_id);
    Request::new(method, &target).bearer(&session.token)
}

/// A small generator for loads; a seed gives the same choices again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn seeded(seed: u64) -> Self {
        // Zero is where the generator would stand still.
        Self(seed | 1)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// Another one, for a task of its own.
    pub(crate) const fn split(&mut self) -> Self {
        Self::seeded(self.below(u64::MAX))
    }
}

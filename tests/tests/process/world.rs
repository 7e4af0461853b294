//! What each test has of its own: a Redis, a simulator, and origins that share them.

use std::collections::BTreeSet;

use genesys_sim::{Sim, SimConfig};
use guestpass_tests::host::{Settings, issue, sessions, start_sim};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::redis_server::RedisServer;
use guestpass_tests::wait::{ms, now_ms, pause};
use serde_json::Value;

/// A Redis and a Genesys that nobody else uses, so that keys have the default prefix.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) sim: Sim,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { redis: RedisServer::start(), sim: start_sim(SimConfig::default()).await }
    }

    /// One more process on them.
    pub(crate) async fn origin(&self, settings: Settings<'_>) -> Origin {
        let url = self.redis.url();
        Origin::start(&self.sim, &[&[("REDIS_URL", url.as_str())], settings].concat()).await
    }

    /// A device's guests as they stand in its sorted set, oldest first.
    pub(crate) fn tracked(&self, fingerprint: &str) -> Vec<String> {
        let key = format!("msg:guest:{fingerprint}");
        let members: Vec<String> = self.redis.query(&["ZRANGE", &key, "0", "-1"]);
        members.iter().map(|member| guest_of(member)).collect()
    }

    /// The guests whose revocation is pending or stuck.
    pub(crate) fn to_be_revoked(&self) -> BTreeSet<String> {
        let keys = |key| self.redis.query::<Vec<String>>(&["HKEYS", key]);
        keys("msg:guest::jobs").into_iter().chain(keys("msg:guest::stuck")).collect()
    }

    /// A counter, as the scripts keep it.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let count: Option<u64> = self.redis.query(&["HGET", "msg:guest::stats", name]);
        count.unwrap_or(0)
    }

    /// Waits until no create is in flight and no revocation pending.
    pub(crate) async fn at_rest(&self) {
        eventually("nothing is under way", ms(20_000), async || {
            let left = |key| self.redis.query::<u64>(&["ZCARD", key]);
            (left("msg:guest::flights") + left("msg:guest::outbox") == 0).then_some(())
        })
        .await;
    }

    /// The guests that live, by Genesys's own ledger.
    pub(crate) fn alive(&self) -> BTreeSet<String> {
        self.sim.live_guests().into_iter().map(|guest| guest.id).collect()
    }
}

/// The guest's id in a member of a sorted set.
pub(crate) fn guest_of(member: &str) -> String {
    let member: Value = serde_json::from_str(member).expect("a member is JSON");
    member["guestId"].as_str().expect("a member has a guestId").to_owned()
}

/// Asks for a session with an empty body.
pub(crate) async fn issued(origin: &Origin, fingerprint: &str) -> Session {
    Session::of(&origin.send(&issue(fingerprint)).await)
}

/// Asks for a session until the device is not busy any more.
pub(crate) async fn issued_when_free(origin: &Origin, fingerprint: &str) -> Session {
    let give_up = now_ms() + 30_000;
    loop {
        let reply = origin.send(&issue(fingerprint)).await;
        if reply.status != 429 {
            return Session::of(&reply);
        }
        assert!(reply.problem(429, "device_busy").retry_after.is_some());
        assert!(now_ms() < give_up, "{fingerprint} stays busy");
        pause(ms(10)).await;
    }
}

/// A request of the operator to end all of a device's sessions.
pub(crate) fn end_all(fingerprint: &str) -> Request {
    Request::new("DELETE", &sessions(fingerprint)).bearer(guestpass_tests::host::OPERATOR)
}

/// A request of the guest, for its own session.
pub(crate) fn own(method: &str, fingerprint: &str, session: &Session, what: &str) -> Request {
    let target = format!("{}/{}{what}", sessions(fingerprint), session.guest_id);
    Request::new(method, &target).bearer(&session.token)
}

/// Sends requests at once and gathers the answers in their order.
pub(crate) async fn at_once(origin: &Origin, requests: Vec<Request>) -> Vec<Reply> {
    let send = requests.iter().map(|request| origin.send(request));
    futures_util::future::join_all(send).await
}

/// A small generator for loads; a seed gives the same choices again.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Seeded by the clock, or by `PROCESS_SEED`; printed for who wants to repeat it.
    pub(crate) fn new() -> Self {
        let asked = std::env::var("PROCESS_SEED").ok().and_then(|text| text.parse().ok());
        let seed = asked.unwrap_or_else(now_ms);
        println!("PROCESS_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

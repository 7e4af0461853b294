//! A Redis and a simulator that origins and workerd share.

use std::net::SocketAddr;
use std::ops::Deref;

use guestpass_tests::door::{DOOR_TOKEN, door_url};
use guestpass_tests::edge::Edge;
use guestpass_tests::host::{OPERATOR, Settings, sessions};
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::origin::Origin;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::ms;
pub(crate) use guestpass_tests::world::{Dice, issued, issued_when_free, own};
use serde_json::Value;

/// A sweeper that is off.
pub(crate) const UNSWEPT: (&str, &str) = ("SWEEP_INTERVAL_MS", "3600000");

/// [`guestpass_tests::world::World`] with workerd in it.
pub(crate) struct World(guestpass_tests::world::World);

impl Deref for World {
    type Target = guestpass_tests::world::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self(guestpass_tests::world::World::new().await)
    }

    /// An origin that is the door to its Redis, too.
    pub(crate) async fn origin(&self, settings: Settings<'_>) -> Origin {
        self.0.origin(&[&[("REDIS_REST_TOKEN", DOOR_TOKEN)], settings].concat()).await
    }

    /// A workerd behind this origin's door.
    pub(crate) async fn edge(&self, door: &Origin, settings: Settings<'_>) -> Edge {
        Edge::start(&self.sim, &door_url(door.addr), settings).await
    }

    /// The same, with a cron trigger that never fires.
    pub(crate) async fn edge_without_cron(&self, door: &Origin, settings: Settings<'_>) -> Edge {
        Edge::start_without_cron(&self.sim, &door_url(door.addr), settings).await
    }

    /// The creates that are in flight.
    pub(crate) fn in_flight(&self) -> Vec<String> {
        self.redis.query(&["ZRANGE", "msg:guest::flights", "0", "-1"])
    }

    /// Waits until no create is in flight and no revocation pending. One that failed several times waits for
    /// up to a minute before it is tried again.
    pub(crate) async fn at_rest(&self) {
        self.0.at_rest_within(ms(150_000)).await;
    }

    /// Waits until Genesys has been told to invalidate a guest.
    pub(crate) async fn revoked(&self, guest_id: &str) {
        eventually("the guest is revoked", ms(15_000), async || {
            self.sim.invalidated(guest_id).then_some(())
        })
        .await;
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

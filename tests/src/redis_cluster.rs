//! A Redis Cluster of three masters that a test starts.

use std::time::Duration;

use guestpass_core::config::RedisTarget;
use guestpass_core::secret::Secret;

use crate::real_time::wait_for;
use crate::redis_server::{RedisServer, free_port};

const SLOTS: [(u32, u32); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Three masters, each with a third of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes, joins them, and waits until each says that the cluster is whole.
    ///
    /// # Panics
    /// When they do not come up or do not join.
    #[must_use]
    pub fn start() -> Self {
        let start = |_| {
            let bus = free_port();
            let mut options = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
            // One master's end is not the end of the others.
            options.extend(["--cluster-require-full-coverage", "no"]);
            let bus_text = bus.to_string();
            options.extend(["--cluster-port", &bus_text]);
            (RedisServer::start_with(&options), bus)
        };
        let nodes: Vec<_> = SLOTS.map(start).into();
        for (number, ((node, _), (first, last))) in (1..).zip(nodes.iter().zip(SLOTS)) {
            let epoch = number.to_string();
            node.query::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            node.query::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (node, bus) in nodes.iter().skip(1) {
            let (first, _) = &nodes[0];
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus.to_string()];
            first.query::<()>(&meet);
        }
        let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
        wait_for("the cluster is whole", Duration::from_secs(40), || {
            let whole = |node: &RedisServer| {
                let info: String = node.query(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            };
            nodes.iter().all(whole).then_some(())
        });
        Self { nodes }
    }

    /// Its URL, with every node in it.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// Its URL as the configuration has it.
    #[must_use]
    pub fn target(&self) -> RedisTarget {
        RedisTarget::Cluster(self.nodes.iter().map(|node| Secret::new(node.url())).collect())
    }

    /// The node that has a key's slot.
    ///
    /// # Panics
    /// When a node does not answer.
    #[must_use]
    pub fn node_of(&self, key: &str) -> &RedisServer {
        let slot: u32 = self.nodes[0].query(&["CLUSTER", "KEYSLOT", key]);
        let index = SLOTS.iter().position(|(first, last)| (*first..=*last).contains(&slot));
        &self.nodes[index.expect("every slot has its node")]
    }

    /// The nodes.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }
}

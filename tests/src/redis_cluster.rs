//! A Redis Cluster of three masters that a test starts, with replicas where it wants some.

use std::time::Duration;

use guestpass_core::config::RedisTarget;
use guestpass_core::secret::Secret;

use crate::real_time::wait_for;
use crate::redis_server::{RedisServer, free_port};

const SLOTS: [(u32, u32); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// How long a busy machine may take for what is a matter of a second.
const PATIENCE: Duration = Duration::from_secs(40);

/// Three masters, each with a third of the slots, and then their replicas, if they have some.
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
        Self::of_masters("5000")
    }

    /// Starts one with a replica for each master, which takes over two seconds after its end.
    ///
    /// # Panics
    /// When nodes do not come up or do not join.
    #[must_use]
    pub fn start_replicated() -> Self {
        let timeout = "2000";
        let mut cluster = Self::of_masters(timeout);
        let masters: Vec<String> =
            cluster.nodes.iter().map(|node| node.query(&["CLUSTER", "MYID"])).collect();
        for master in masters {
            let (replica, bus) = start_node(timeout);
            meet(&cluster.nodes[0], &replica, bus);
            wait_for("a replica knows its master", PATIENCE, || {
                replica.try_query::<()>(&["CLUSTER", "REPLICATE", &master]).ok()
            });
            cluster.nodes.push(replica);
        }
        wait_for("the replicas have everything", PATIENCE, || {
            let is_linked = |node: &RedisServer| {
                node.query::<String>(&["INFO", "replication"]).contains("master_link_status:up")
            };
            cluster.nodes.iter().skip(SLOTS.len()).all(is_linked).then_some(())
        });
        cluster.wait_until_whole();
        cluster
    }

    fn of_masters(timeout: &str) -> Self {
        let nodes: Vec<_> = SLOTS.iter().map(|_| start_node(timeout)).collect();
        for (number, ((node, _), (first, last))) in (1..).zip(nodes.iter().zip(SLOTS)) {
            let epoch = number.to_string();
            node.query::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            node.query::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (node, bus) in nodes.iter().skip(1) {
            meet(&nodes[0].0, node, *bus);
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        cluster.wait_until_whole();
        cluster
    }

    fn wait_until_whole(&self) {
        wait_for("the cluster is whole", PATIENCE, || {
            let whole = |node: &RedisServer| {
                let info: String = node.query(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            };
            self.nodes.iter().all(whole).then_some(())
        });
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

    /// The running nodes that are masters now.
    #[must_use]
    pub fn masters(&self) -> Vec<&RedisServer> {
        let is_master = |node: &&RedisServer| {
            let info = node.try_query::<String>(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("role:master"))
        };
        self.nodes.iter().filter(is_master).collect()
    }

    /// The nodes: the first three are those that began as masters, the others their replicas in the same order.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }
}

/// A node, and the port of its bus.
fn start_node(timeout: &str) -> (RedisServer, u16) {
    let bus = free_port();
    let mut options = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", timeout];
    // One master's end is not the end of the others.
    options.extend(["--cluster-require-full-coverage", "no"]);
    let bus_text = bus.to_string();
    options.extend(["--cluster-port", &bus_text]);
    (RedisServer::start_with(&options), bus)
}

fn meet(first: &RedisServer, node: &RedisServer, bus: u16) {
    let meet = ["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus.to_string()];
    first.query::<()>(&meet);
}

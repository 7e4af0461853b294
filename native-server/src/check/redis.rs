//! Whether Redis can be reached, does what the store needs, and keeps what it is given.

use guestpass_core::config::{Config, RedisTarget};
use guestpass_core::seams::{Clock as _, SessionStore as _, StoreFault};
use guestpass_core::store::ops::At;
use guestpass_core::store::redis::{Keys, RedisStore};
use redis::{ErrorKind, RedisError, ServerErrorKind, from_redis_value};

use super::Finding;
use crate::clock::SystemClock;
use crate::http_client::install_crypto;
use crate::kv::{RedisKv, describe};

const REACHED: &str = "Redis";
const SCRIPTS: &str = "Redis scripts";
const KEPT: &str = "Redis memory";

const IS_A_CLUSTER: &str = "use redis-cluster://host:port,host:port and REDIS_SHARDS of 2 or more";
const IS_NOT_WHOLE: &str = "the Cluster does not serve all slots: CLUSTER INFO must say cluster_state:ok and \
                            cluster_slots_assigned:16384; name masters with slots in REDIS_URL";
const IS_A_REPLICA: &str = "name the primary in REDIS_URL: replicas cannot be written to";

pub(super) async fn check(config: &Config, target: &RedisTarget, tell: &mut impl FnMut(Finding)) {
    install_crypto();
    let is_cluster = matches!(target, RedisTarget::Cluster(_));
    let kv = match RedisKv::new(target) {
        Ok(kv) => kv,
        Err(error) => return tell(Finding::failed(REACHED, error, "check the form of REDIS_URL")),
    };
    if let Err(error) = kv.command(&redis::cmd("PING")).await {
        return tell(Finding::failed(REACHED, describe(&error), remedy(&error, target)));
    }
    let info = information(&kv, is_cluster).await;
    let says =
        |name, value| info.as_deref().is_some_and(|info| value_of(info, name) == Some(value));
    if !is_cluster && says("cluster_enabled", "1") {
        let text = "the server is a node of a Cluster, but REDIS_URL is for a single server";
        return tell(Finding::failed(REACHED, text, IS_A_CLUSTER));
    }
    if says("role", "slave") {
        return tell(Finding::failed(REACHED, "the server is a replica", IS_A_REPLICA));
    }
    let version = info.as_deref().and_then(|info| value_of(info, "redis_version"));
    tell(Finding::ok(
        REACHED,
        version.map_or("reached".to_owned(), |version| format!("reached, version {version}")),
    ));

    let store = RedisStore::new(kv.clone(), Keys::new(&config.key_prefix, config.shards));
    let at = At { now: SystemClock.now(), limits: &config.limits };
    match store.cool_down(at, None).await {
        Ok(_) => tell(Finding::ok(SCRIPTS, "a script ran in every shard")),
        Err(fault) => {
            let remedy = scripts_remedy(&fault, is_cluster, &config.key_prefix);
            return tell(Finding::failed(SCRIPTS, fault.to_string(), remedy));
        }
    }
    if let Some(info) = info {
        room(&info, tell);
        durability(&info, tell);
    }
}

fn scripts_remedy(fault: &StoreFault, is_cluster: bool, key_prefix: &str) -> String {
    let said = fault.to_string();
    if matches!(fault, StoreFault::Unreachable(_) | StoreFault::Lost(_)) {
        if is_cluster {
            IS_NOT_WHOLE.to_owned()
        } else {
            "the server answers PING but no script: see with SLOWLOG GET whether something keeps it busy".to_owned()
        }
    } else if said.contains("NoPerm") || said.contains("NOPERM") || said.contains("ACL") {
        format!(
            "give the user of REDIS_URL its rights: ACL SETUSER <user> +@read +@write +@scripting +@connection \
             -@dangerous +info +cluster|slots ~{key_prefix}*"
        )
    } else if said.contains("Moved") || said.contains("MOVED") {
        IS_A_CLUSTER.to_owned()
    } else if said.contains("ReadOnly") || said.contains("READONLY") {
        IS_A_REPLICA.to_owned()
    } else {
        "the server must run Lua scripts (Redis 6.2 or later, or one that is compatible)".to_owned()
    }
}

/// Whether Redis has memory left: one that is full and may evict nothing takes no new session.
fn room(info: &str, tell: &mut impl FnMut(Finding)) {
    let number = |name| value_of(info, name).and_then(|text| text.parse::<u64>().ok());
    let (Some(used), Some(most)) = (number("used_memory"), number("maxmemory")) else { return };
    if most > 0 && used >= most && value_of(info, "maxmemory_policy") == Some("noeviction") {
        tell(Finding::failed(
            KEPT,
            format!("Redis is full: {used} of {most} bytes are used, and nobody can be admitted"),
            "raise maxmemory, or take away what else is kept in this Redis",
        ));
    }
}

/// Notes on settings under which Redis may lose what it was given.
fn durability(info: &str, tell: &mut impl FnMut(Finding)) {
    match value_of(info, "maxmemory_policy") {
        Some("noeviction") | None => {}
        Some(policy) => tell(Finding::note(
            KEPT,
            format!(
                "maxmemory-policy is {policy}: Redis may drop sessions and revocations when memory is short"
            ),
            "set it to noeviction",
        )),
    }
    let has_log = value_of(info, "aof_enabled") == Some("1");
    // Redis tells the save points in CONFIG only, which many services refuse; a snapshot that was ever made
    // tells as much.
    let has_snapshots = value_of(info, "rdb_saves").is_some_and(|count| count != "0")
        || value_of(info, "save").is_some_and(|points| !points.is_empty());
    if !has_log && !has_snapshots {
        tell(Finding::note(
            KEPT,
            "nothing is written to disk: revocations that are pending are lost when Redis restarts",
            "set appendonly yes",
        ));
    }
}

/// What the server says of itself, with its save points as a line `save:` where it tells them. `None` where
/// it does not answer.
async fn information(kv: &RedisKv, is_cluster: bool) -> Option<String> {
    if is_cluster {
        // Each node would answer for itself, and a key cannot choose one.
        return None;
    }
    let mut info = from_redis_value::<String>(kv.command(&redis::cmd("INFO")).await.ok()?).ok()?;
    if let Ok(reply) = kv.command(redis::cmd("CONFIG").arg("GET").arg("save")).await
        && let Ok(pair) = from_redis_value::<Vec<String>>(reply)
        && let [_, points] = &pair[..]
    {
        info.push_str("\r\nsave:");
        info.push_str(points);
    }
    Some(info)
}

fn value_of<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// What to do about a server that was not reached or did not let us in.
fn remedy(error: &RedisError, target: &RedisTarget) -> String {
    let said = error.to_string();
    let has = |word: &str| said.contains(word);
    let is_tls = match target {
        RedisTarget::Single(url) => url.expose().starts_with("rediss://"),
        RedisTarget::Cluster(_) => false,
    };
    let advice = if has("NOAUTH") {
        "the server wants a password: put it into REDIS_URL as redis://user:password@host:port (or :password@ \
         without a user)"
    } else if has("WRONGPASS") || has("invalid password") || has("AuthenticationFailed") {
        "the user or password in REDIS_URL is wrong; special characters in them must be percent-encoded"
    } else if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
        "the user in REDIS_URL may not even PING; see its rights with ACL GETUSER"
    } else if error.kind() == ErrorKind::ClusterConnectionNotFound {
        IS_NOT_WHOLE
    } else if has("cluster support disabled") {
        "the server is not a Cluster: use redis://host:port"
    } else if has("LOADING") {
        "the server is loading its data; try again when it is done"
    } else if has("lookup address")
        || has("Name or service not known")
        || has("nodename nor servname")
    {
        "the host name in REDIS_URL cannot be resolved"
    } else if error.is_connection_refusal() || has("Connection refused") {
        "nothing listens at the host and port in REDIS_URL: check both, and that Redis runs and binds to that address"
    } else if has("certificate") || has("UnknownIssuer") {
        "the server's certificate is not trusted here, or is for another name: add its authority to this system's \
         root certificates, and use the name that it is for"
    } else if is_tls {
        "if the server does not speak TLS, use redis:// instead of rediss://"
    } else if error.is_timeout() {
        "no answer in time: check host, port and firewalls"
    } else {
        "if the server speaks TLS, use rediss:// instead of redis://"
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(info: &str) -> Vec<String> {
        let mut notes = Vec::new();
        durability(info, &mut |finding| notes.push(finding.to_string()));
        notes
    }

    #[test]
    fn settings_that_lose_data_are_noted() {
        assert_eq!(notes("aof_enabled:1\r\nmaxmemory_policy:noeviction\r\n"), [""; 0]);
        assert_eq!(notes("aof_enabled:0\r\nsave:3600 1 300 100\r\n"), [""; 0]);
        let lossy = notes("aof_enabled:0\r\nrdb_saves:0\r\nmaxmemory_policy:allkeys-lru\r\nsave:");
        let [memory, disk] = &lossy[..] else { panic!("{lossy:?}") };
        assert!(
            memory.contains("allkeys-lru") && memory.ends_with("; set it to noeviction"),
            "{memory}"
        );
        assert!(disk.contains("nothing is written to disk"), "{disk}");
    }
}

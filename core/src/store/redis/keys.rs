//! Every key name, made in this one place. The layout is described in the README ("Redis layout").

use crate::names::DeviceKey;
use crate::store::ops::Idempotency;

/// Makes key names from the prefix and the number of shards.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What every key of a shard begins with: `msg:guest:`, or `msg:guest:{k}:` for shard k.
    bases: Vec<String>,
}

impl Keys {
    /// Keys under `prefix` in `shards` shards (0 and 1 both mean one shard without a hash tag).
    #[must_use]
    pub fn new(prefix: &str, shards: u32) -> Self {
        let bases = if shards < 2 {
            vec![prefix.to_owned()]
        } else {
            (0..shards).map(|shard| format!("{prefix}{{{shard}}}:")).collect()
        };
        Self { bases }
    }

    /// All shards.
    #[must_use]
    pub fn shards(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.bases.len()).unwrap_or(u32::MAX)
    }

    /// The shard of a device: a hash of its fingerprint, modulo the number of shards.
    #[must_use]
    pub fn shard_of(&self, device: &DeviceKey) -> u32 {
        u32::try_from(device.place() % (self.bases.len().max(1) as u64)).unwrap_or(0)
    }

    /// What every key of a shard begins with.
    #[must_use]
    pub fn base(&self, shard: u32) -> &str {
        self.bases.get(shard as usize).map_or("", String::as_str)
    }

    /// The sorted set of a shard's devices by what expires next; a device that is not in it has no expiry yet.
    #[must_use]
    pub fn due(&self, shard: u32) -> String {
        self.global(shard, "due")
    }

    /// A key that belongs to a whole shard, such as `outbox`.
    pub(super) fn global(&self, shard: u32, what: &str) -> String {
        [self.base(shard), ":", what].concat()
    }

    /// A device's sorted set of sessions.
    pub(super) fn device(&self, shard: u32, name: &str) -> String {
        [self.base(shard), name].concat()
    }

    /// A key of a device beside its sessions, such as `flight`.
    pub(super) fn of_device(&self, shard: u32, name: &str, what: &str) -> String {
        [self.base(shard), name, ":", what].concat()
    }

    /// The record of an idempotency key, scoped to its device.
    pub(super) fn idempotency(&self, shard: u32, name: &str, key: &Idempotency) -> String {
        [self.base(shard), name, ":idem:", &key.key_hash].concat()
    }

    /// The device whose sorted set a key would be, read back from a scan of [`Self::scan_patterns`].
    #[must_use]
    pub fn device_of(&self, key: &str) -> Option<DeviceKey> {
        self.shards().find_map(|shard| {
            DeviceKey::from_shard(shard, key.strip_prefix(self.base(shard))?).ok()
        })
    }

    /// A SCAN pattern for each shard that meets all its keys.
    #[must_use]
    pub fn scan_patterns(&self) -> Vec<String> {
        let escape = |text: &str| -> String {
            text.chars()
                .flat_map(|c| {
                    matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\').into_iter().chain([c])
                })
                .collect()
        };
        self.bases.iter().map(|base| format!("{}*", escape(base))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn device(name: &str) -> DeviceKey {
        DeviceKey::from_stored(name).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn one_shard_has_the_tutorials_layout() {
        let keys = Keys::new("msg:guest:", 1);
        assert_eq!(keys.device(0, "device-1"), "msg:guest:device-1");
        assert_eq!(keys.of_device(0, "device-1", "flight"), "msg:guest:device-1:flight");
        assert_eq!(keys.global(0, "outbox"), "msg:guest::outbox");
    }

    #[test]
    fn several_shards_have_hash_tags() {
        let keys = Keys::new("msg:guest:", 4);
        assert_eq!(keys.global(3, "due"), "msg:guest:{3}::due");
        assert_eq!(keys.device(2, "device-1"), "msg:guest:{2}:device-1");
        let spread: std::collections::BTreeSet<_> =
            (0..100).map(|n| keys.shard_of(&device(&format!("device-{n}")))).collect();
        assert_eq!(spread.len(), 4);
    }

    #[test]
    fn a_scan_tells_devices_from_other_keys() {
        let keys = Keys::new("msg:guest:", 1);
        assert_eq!(keys.device_of("msg:guest:device-1"), Some(device("device-1")));
        for other in
            ["msg:guest::outbox", "msg:guest:device-1:flight", "other:device-1", "msg:guest:"]
        {
            assert_eq!(keys.device_of(other), None, "{other}");
        }
        assert_eq!(Keys::new("a*b:", 1).scan_patterns(), [r"a\*b:*"]);
    }
}

//! Identifiers: UUIDs, and guest tokens that look like JWTs. Unique within a simulator by
//! construction, and between simulators by their seeds. Nothing here is secret.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SplitMix64 over an atomic counter, so that no lock is needed.
pub(crate) struct Ids {
    counter: AtomicU64,
}

impl Ids {
    /// A generator seeded from the process's hash keys, which the system fills at random.
    pub(crate) fn new() -> Self {
        Self { counter: AtomicU64::new(RandomState::new().hash_one("genesys-sim")) }
    }

    fn next(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.counter.fetch_add(GAMMA, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A lowercase version 4 UUID.
    pub(crate) fn uuid(&self) -> String {
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & (u64::MAX >> 2)) | (1 << 63);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// An opaque access token.
    pub(crate) fn access_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.noise::<48>())
    }

    /// Three base64url parts, like an RS256 JWT of a guest; over 400 characters.
    pub(crate) fn guest_token(&self, guest_id: &str, now_ms: u64) -> String {
        let claims =
            format!(r#"{{"iss":"genesys-sim","sub":"{guest_id}","iat":{}}}"#, now_ms / 1000);
        let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(self.noise::<192>(), &mut token);
        token
    }

    fn noise<const N: usize>(&self) -> [u8; N] {
        let mut noise = [0; N];
        for chunk in noise.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        noise
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_and_unique_across_simulators() {
        let (one, other) = (Ids::new(), Ids::new());
        let mut seen = HashSet::new();
        for _ in 0..2_000 {
            for ids in [&one, &other] {
                let id = ids.uuid();
                let lengths: Vec<_> = id.split('-').map(str::len).collect();
                assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
                assert_eq!(id, id.to_lowercase());
                assert_eq!(&id[14..15], "4");
                assert!(seen.insert(id));
            }
        }
    }
}

//! The names that must not be mixed up: fingerprints, devices, guests, flights and claims. Each is
//! made only by parsing or by its one constructor; nothing here does I/O.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// Why a name was refused; says the rule, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub &'static str);

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}

fn parse_unreserved(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    rule: &'static str,
) -> Result<String, InvalidName> {
    if lengths.contains(&text.len()) && text.bytes().all(is_unreserved) {
        Ok(text.to_owned())
    } else {
        Err(InvalidName(rule))
    }
}

/// The string by which a site names a device: 8 to 256 characters of `A-Z a-z 0-9 . _ ~ -`.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The rule, as told to callers.
    pub const RULE: &'static str = "fingerprint must be 8 to 256 characters of A-Z a-z 0-9 . _ ~ - and is never percent-encoded";

    /// Reads a fingerprint as it stands in a path.
    ///
    /// # Errors
    /// [`InvalidName`] with [`Self::RULE`].
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        parse_unreserved(text, 8..=256, Self::RULE).map(Self)
    }

    /// A short hash for logs: 12 hexadecimal digits of SHA-256, which do not reveal the fingerprint.
    #[must_use]
    pub fn short_hash(&self) -> String {
        let mut hash = hex(&Sha256::digest(self.0.as_bytes()));
        hash.truncate(12);
        hash
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint(#{})", self.short_hash())
    }
}

/// The name under which a device is stored: the fingerprint, or its keyed hash. Devices are equal when their
/// names are.
#[derive(Clone)]
pub struct DeviceKey {
    name: String,
    /// What its shard is made from: a hash of the fingerprint itself, which no change of keys moves.
    place: u64,
    /// The names that it has under older keys.
    older: Vec<String>,
}

impl DeviceKey {
    /// The stored name of a fingerprint. With a key it is the unpadded base64url of
    /// HMAC-SHA-256(key, fingerprint), so that the store never holds fingerprints. What is stored under the
    /// names of further keys belongs to the same device.
    #[must_use]
    pub fn of(fingerprint: &Fingerprint, keys: &[Secret]) -> Self {
        let mut names = keys.iter().map(|key| keyed_hash(fingerprint, key));
        Self {
            name: names.next().unwrap_or_else(|| fingerprint.0.clone()),
            place: place(&fingerprint.0),
            older: names.collect(),
        }
    }

    /// A device by the fingerprint, as it is stored without a key.
    ///
    /// # Errors
    /// [`InvalidName`] when it could not have been written as a device's name.
    pub fn from_stored(text: &str) -> Result<Self, InvalidName> {
        let name = parse_unreserved(text, 1..=256, Fingerprint::RULE)?;
        Ok(Self { place: place(&name), name, older: Vec::new() })
    }

    /// A name read back from this shard: its sorted set of due devices, or a scan.
    ///
    /// # Errors
    /// [`InvalidName`] when it could not have been written as a device's name.
    pub fn from_shard(shard: u32, text: &str) -> Result<Self, InvalidName> {
        Ok(Self { place: shard.into(), ..Self::from_stored(text)? })
    }

    /// The name as it stands in keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The names under which parts of the same device may still be stored.
    #[must_use]
    pub fn older(&self) -> &[String] {
        &self.older
    }

    /// The number whose remainder by the number of shards is the device's shard.
    #[must_use]
    pub const fn place(&self) -> u64 {
        self.place
    }
}

fn keyed_hash(fingerprint: &Fingerprint, key: &Secret) -> String {
    let mac = <Hmac<Sha256>>::new_from_slice(key.expose().as_bytes())
        .map(|mac| mac.chain_update(fingerprint.0.as_bytes()).finalize().into_bytes());
    match mac {
        Ok(bytes) => URL_SAFE_NO_PAD.encode(bytes),
        // HMAC takes keys of any length; the type alone does not say so.
        Err(_) => hex(&Sha256::digest(fingerprint.0.as_bytes())),
    }
}

/// FNV-1a.
fn place(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl PartialEq for DeviceKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DeviceKey {}

impl std::hash::Hash for DeviceKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl PartialOrd for DeviceKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeviceKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(#)")
    }
}

/// A guest's identity at Genesys: 1 to 128 characters of the fingerprint's alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestId(String);

impl GuestId {
    /// The rule, as told to callers.
    pub const RULE: &'static str =
        "guestId must be 1 to 128 characters of A-Z a-z 0-9 . _ ~ - and is never percent-encoded";

    /// Reads a guest id. `.` and `..` are refused: in a URL they would name another resource.
    ///
    /// # Errors
    /// [`InvalidName`] with [`Self::RULE`].
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text == "." || text == ".." {
            return Err(InvalidName(Self::RULE));
        }
        parse_unreserved(text, 1..=128, Self::RULE).map(Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GuestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One create in flight: 32 hexadecimal digits, unique for each issue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlightId(String);

/// One claim of revocations: 32 hexadecimal digits, unique for each claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(String);

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            /// An id from 16 random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(hex(&bytes))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
random_id!(FlightId);
random_id!(ClaimId);

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const fn digit(nibble: u8) -> char {
        (if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }) as char
    }
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_fingerprint_has_8_to_256_unreserved_characters() {
        for good in ["abcdefgh", "A.b_c~d-9", &"x".repeat(256)] {
            assert!(Fingerprint::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "short12",
            &"x".repeat(257),
            "has:colon",
            "per%20cent",
            "spa ce12",
            "ümlaut12",
            "tab\t12345",
        ] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_guest_id_is_never_a_dot_segment() {
        assert!(GuestId::parse("a").is_ok());
        assert!(GuestId::parse("...").is_ok());
        for bad in ["", ".", "..", "a/b", &"x".repeat(129)] {
            assert!(GuestId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_keyed_device_is_the_hmac_of_its_fingerprint() -> Result<(), InvalidName> {
        let fingerprint = Fingerprint::parse("device-fp-8f3a2c1d")?;
        let plain = DeviceKey::of(&fingerprint, &[]);
        assert_eq!(plain.as_str(), "device-fp-8f3a2c1d");
        // From: printf device-fp-8f3a2c1d | openssl dgst -sha256 -hmac key -binary | basenc --base64url
        let keyed = DeviceKey::of(&fingerprint, &[Secret::new("key"), Secret::new("old")]);
        assert_eq!(keyed.as_str(), "csPz3L2D6mYPYF7TExx3DX2Kh4bpE5BXslIg_e4e5Nw");
        let old = DeviceKey::of(&fingerprint, &[Secret::new("old")]);
        assert_eq!((keyed.older(), old.older()), (&[old.as_str().to_owned()][..], &[][..]));
        assert_eq!((keyed.place(), old.place()), (plain.place(), plain.place()));
        Ok(())
    }

    #[test]
    fn debug_output_shows_no_fingerprint() -> Result<(), InvalidName> {
        let fingerprint = Fingerprint::parse("very-private-device")?;
        assert!(!format!("{fingerprint:?}").contains("private"));
        assert!(!format!("{:?}", DeviceKey::of(&fingerprint, &[])).contains("private"));
        Ok(())
    }
}

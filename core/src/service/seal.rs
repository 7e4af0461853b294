//! Sealing: tokens are stored encrypted when a key is configured (AES-256-GCM, bound to what they belong
//! to). A sealed text is the unpadded base64url of nonce (12 bytes), ciphertext and tag (16 bytes).

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sha256;
use crate::config::SealingKey;
use crate::names::GuestId;
use crate::secret::Secret;
use crate::store::ops::StoredToken;

const NONCE_BYTES: usize = 12;

/// What a shared access token is bound to; no guest's id has a space.
const ACCESS_TOKEN: &str = "access token";

/// Seals and opens tokens; without a key it stores them as they are. The first key seals, all open.
pub(crate) struct Sealer {
    ciphers: Vec<Aes256Gcm>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer(keys: {})", self.ciphers.len())
    }
}

impl Sealer {
    pub(crate) fn new(keys: &[SealingKey]) -> Self {
        Self { ciphers: keys.iter().map(|key| Aes256Gcm::new(&key.0.into())).collect() }
    }

    /// A guest's token as it is to be stored. What `random` makes must not repeat under one key.
    pub(crate) fn seal(
        &self,
        guest: &GuestId,
        token: &Secret,
        random: impl FnOnce() -> [u8; 16],
    ) -> Result<StoredToken, &'static str> {
        let Some(cipher) = self.ciphers.first() else {
            return Ok(StoredToken { text: token.clone(), sha256: None });
        };
        let text = seal(cipher, guest.as_str(), token, random())?;
        Ok(StoredToken { text: Secret::new(text), sha256: Some(sha256(token.expose())) })
    }

    /// An access token as it is to be shared; `None` without a key.
    pub(crate) fn seal_access_token(&self, token: &Secret, random: [u8; 16]) -> Option<String> {
        seal(self.ciphers.first()?, ACCESS_TOKEN, token, random).ok()
    }

    /// A shared access token, or `None` when it was sealed with a key that is not known here.
    pub(crate) fn open_access_token(&self, sealed: &str) -> Option<Secret> {
        self.ciphers.iter().find_map(|cipher| open(cipher, ACCESS_TOKEN, sealed))
    }

    /// The token of a guest, or `None` when it was sealed with a key that is not known here or for another guest.
    pub(crate) fn open(&self, guest: &GuestId, stored: &StoredToken) -> Option<Secret> {
        if stored.sha256.is_none() {
            return Some(stored.text.clone());
        }
        let text = stored.text.expose();
        self.ciphers.iter().find_map(|cipher| open(cipher, guest.as_str(), text))
    }
}

fn seal(
    cipher: &Aes256Gcm,
    owner: &str,
    token: &Secret,
    random: [u8; 16],
) -> Result<String, &'static str> {
    let nonce = random.first_chunk::<NONCE_BYTES>().ok_or("too short a nonce")?;
    let payload = Payload { msg: token.expose().as_bytes(), aad: owner.as_bytes() };
    let sealed = cipher
        .encrypt(Nonce::from_slice(nonce), payload)
        .map_err(|_| "a token that cannot be sealed")?;
    Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

fn open(cipher: &Aes256Gcm, owner: &str, sealed: &str) -> Option<Secret> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: owner.as_bytes() };
    let token = cipher.decrypt(Nonce::from_slice(nonce), payload).ok()?;
    String::from_utf8(token).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn guest(id: &str) -> GuestId {
        GuestId::parse(id).unwrap()
    }

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[SealingKey([byte; 32])])
    }

    #[test]
    fn an_access_token_opens_as_such_alone() {
        let token = Secret::new("token");
        let sealed = sealer(7).seal_access_token(&token, [9; 16]).unwrap();
        assert_eq!(sealer(7).open_access_token(&sealed).unwrap().expose(), "token");
        assert!(sealer(8).open_access_token(&sealed).is_none());
        let as_guest = StoredToken { text: Secret::new(sealed), sha256: Some(String::new()) };
        assert!(sealer(7).open(&guest("g-1"), &as_guest).is_none());
        assert!(Sealer::new(&[]).seal_access_token(&token, [9; 16]).is_none());
    }

    #[test]
    fn a_sealed_token_opens_for_its_guest_and_key_alone() {
        let token = Secret::new("eyJhbGciOiJSUzI1NiJ9.payload.signature");
        let stored = sealer(7).seal(&guest("g-1"), &token, || [9; 16]).unwrap();
        assert!(!stored.text.expose().contains("payload"));
        assert_eq!(sealer(7).open(&guest("g-1"), &stored), Some(token));
        assert_eq!(sealer(7).open(&guest("g-2"), &stored), None);
        assert_eq!(sealer(8).open(&guest("g-1"), &stored), None);
        assert_eq!(Sealer::new(&[]).open(&guest("g-1"), &stored), None);
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let token = Secret::new("token");
        let rotated = Sealer::new(&[SealingKey([8; 32]), SealingKey([7; 32])]);
        let before = sealer(7).seal(&guest("g-1"), &token, || [9; 16]).unwrap();
        assert_eq!(rotated.open(&guest("g-1"), &before), Some(token.clone()));
        let shared = sealer(7).seal_access_token(&token, [9; 16]).unwrap();
        assert_eq!(rotated.open_access_token(&shared), Some(token.clone()));
        let after = rotated.seal(&guest("g-1"), &token, || [9; 16]).unwrap();
        assert_eq!(sealer(8).open(&guest("g-1"), &after), Some(token.clone()));
        assert_eq!(sealer(7).open(&guest("g-1"), &after), None);
        let shared = rotated.seal_access_token(&token, [9; 16]).unwrap();
        assert_eq!(sealer(8).open_access_token(&shared), Some(token));
    }

    #[test]
    fn what_was_stored_before_there_was_a_key_still_opens() {
        let token = Secret::new("plain");
        let stored = Sealer::new(&[]).seal(&guest("g-1"), &token, || [0; 16]).unwrap();
        assert_eq!(stored.text.expose(), "plain");
        assert_eq!(sealer(7).open(&guest("g-1"), &stored), Some(token));
    }

    #[test]
    fn damaged_texts_do_not_open() {
        for text in ["", "AAAA", "not base64!", &"A".repeat(64)] {
            let stored = StoredToken { text: Secret::new(text), sha256: Some(String::new()) };
            assert_eq!(sealer(7).open(&guest("g-1"), &stored), None, "{text}");
        }
    }
}

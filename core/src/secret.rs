//! A text that must not be seen, and how two of them are compared.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// A secret text. Debug shows nothing of it, there is no Display, and equality takes constant time.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends or hashes it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it equals what a caller presented, in time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// Whether any of several secrets matches; every one is compared.
#[must_use]
pub fn any_matches(secrets: &[Secret], presented: &str) -> bool {
    secrets.iter().fold(false, |found, secret| secret.matches(presented) | found)
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn any_secret_of_a_list_matches_and_nothing_else() {
        let keys = [Secret::new("first"), Secret::new("second")];
        assert!(any_matches(&keys, "first") && any_matches(&keys, "second"));
        assert!(!any_matches(&keys, "secon") && !any_matches(&keys, "") && !any_matches(&[], ""));
    }
}

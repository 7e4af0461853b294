//! Who may call: bearer tokens of operators and sites, and the origins of pages.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};

use crate::secret::{Secret, any_matches};

/// The configured callers. Empty lists mean: no operator, any site, any origin.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Tokens of operators.
    pub operator_tokens: Vec<Secret>,
    /// Keys of sites.
    pub issue_keys: Vec<Secret>,
    /// Origins of pages, as browsers send them.
    pub allowed_origins: Vec<String>,
}

impl Access {
    /// Whether a presented token is an operator's.
    #[must_use]
    pub fn is_operator(&self, token: &str) -> bool {
        any_matches(&self.operator_tokens, token)
    }

    /// Whether a presented token is a site's key.
    #[must_use]
    pub fn is_issuer(&self, token: &str) -> bool {
        any_matches(&self.issue_keys, token)
    }

    /// Whether a request may come from this origin.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        if self.allowed_origins.is_empty() {
            return !origin.contains(',');
        }
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }
}

/// A header's value. Repeated ones are joined by ", ", as hosts that cannot tell them apart do; whoever
/// takes the value apart refuses that, so every host gives the same answer. `Err` when not visible text.
pub(super) fn header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ()> {
    let mut joined: Option<String> = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| ())?;
        joined = Some(match joined {
            None => text.to_owned(),
            Some(before) => format!("{before}, {text}"),
        });
    }
    Ok(joined)
}

/// Whether a text can be a bearer token: visible ASCII without spaces.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The bearer token of a request, if it has a well-formed one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let header = header(headers, &AUTHORIZATION).ok()??;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_token(token)).then(|| Secret::new(token))
}

/// The origin of the page that a request comes from: `Ok(None)` without the header, `Err` when the header
/// is not text.
pub(super) fn origin(headers: &HeaderMap) -> Result<Option<String>, ()> {
    header(headers, &ORIGIN)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn bearer_of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers).map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_bearer_token_is_one_word_after_its_scheme() {
        assert_eq!(bearer_of(&["Bearer abc.def"]).as_deref(), Some("abc.def"));
        assert_eq!(bearer_of(&["bearer  abc"]).as_deref(), Some("abc"));
        for malformed in
            [&["abc"][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"], &[]]
        {
            assert_eq!(bearer_of(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn a_repeated_header_is_refused_like_its_joined_form() {
        assert_eq!(bearer_of(&["Bearer a", "Bearer b"]), None);
        assert_eq!(bearer_of(&["Bearer a, Bearer b"]), None);
    }

    #[test]
    fn any_origin_is_allowed_until_some_are_named() {
        let mut access = Access::default();
        assert!(access.allows_origin("https://a.example"));
        assert!(!access.allows_origin("https://a.example, https://b.example"));
        access.allowed_origins = vec!["https://a.example".to_owned()];
        assert!(access.allows_origin("https://a.example"));
        assert!(!access.allows_origin("https://a.example.evil") && !access.allows_origin("null"));
    }
}

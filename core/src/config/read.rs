//! Reads single variables and collects mistakes.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    Config, Genesys, HostKind, Mistake, Mistakes, RedisTarget, SealingKey, StoreTarget, region,
};
use crate::http::access::{Access, is_token};
use crate::secret::Secret;

/// All variables in the order of the documentation.
pub(super) const NAMES: [&str; 36] = [
    "GENESYS_REGION",
    "GENESYS_CLIENT_ID",
    "GENESYS_CLIENT_SECRET",
    "GENESYS_LOGIN_URL",
    "GENESYS_API_URL",
    "GENESYS_GUESTS_PATH",
    "GENESYS_SCOPES",
    "MAX_SESSIONS_PER_DEVICE",
    "SESSION_TTL_SECONDS",
    "SESSION_MAX_AGE_SECONDS",
    "RETRY_MAX_ATTEMPTS",
    "RETRY_BASE_DELAY_MS",
    "RETRY_JITTER_MS",
    "REQUEST_DEADLINE_MS",
    "REVOKE_MAX_ATTEMPTS",
    "REVOKE_LEASE_MS",
    "SWEEP_INTERVAL_MS",
    "REDIS_URL",
    "UPSTASH_REDIS_REST_URL",
    "UPSTASH_REDIS_REST_TOKEN",
    "REDIS_KEY_PREFIX",
    "REDIS_SHARDS",
    "OPERATOR_TOKEN",
    "ISSUE_KEYS",
    "ALLOWED_ORIGINS",
    "FINGERPRINT_KEY",
    "TOKEN_SEALING_KEY",
    "RATE_LIMIT_PER_DEVICE",
    "RATE_LIMIT_PER_IP",
    "TRUST_PROXY",
    "LISTEN_ADDR",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "REDIS_REST_TOKEN",
    "REDIS_REST_COMMANDS",
    "SUBREQUEST_LIMIT",
];

/// The most keys that a list of keys in rotation may have.
const MAX_KEYS: usize = 4;

pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Result<Option<String>, String>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Result<Option<String>, String>) -> Self {
        Self { variable, mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// Whether a mistake of this variable was found.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.name == name)
    }

    pub(super) fn mistake(&mut self, name: &'static str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { name, problem: problem.into() });
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn finish(mut self, config: Config) -> Result<Config, Mistakes> {
        let place = |mistake: &Mistake| NAMES.iter().position(|name| *name == mistake.name);
        self.mistakes.sort_unstable_by(|a, b| {
            place(a).cmp(&place(b)).then_with(|| a.problem.cmp(&b.problem))
        });
        if self.mistakes.is_empty() {
            Ok(Config { warnings: self.warnings, ..config })
        } else {
            Err(Mistakes(self.mistakes))
        }
    }

    /// A variable's value without surrounding white space, also when it is empty.
    fn raw(&mut self, name: &'static str) -> Option<String> {
        match (self.variable)(name) {
            Ok(value) => value.map(|value| value.trim().to_owned()),
            Err(problem) => {
                self.mistake(name, problem);
                None
            }
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &'static str, what: &str) -> String {
        let before = self.mistakes.len();
        let value = self.text(name);
        if value.is_none() && self.mistakes.len() == before {
            self.mistake(name, format!("is required: {what}"));
        }
        value.unwrap_or_default()
    }

    pub(super) fn number<N>(
        &mut self,
        name: &'static str,
        default: N,
        range: RangeInclusive<N>,
    ) -> N
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                self.mistake(name, format!("must be a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text))
        {
            return *value;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.mistake(name, format!("must be one of {}", words.join(", ")));
        default
    }

    /// A comma-separated list whose entries satisfy `rule`.
    fn list(&mut self, name: &'static str, rule: &str, good: impl Fn(&str) -> bool) -> Vec<String> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let entries: Vec<String> = text.split(',').map(|entry| entry.trim().to_owned()).collect();
        if !entries.iter().all(|entry| good(entry)) {
            self.mistake(name, format!("must be a comma-separated list; each entry {rule}"));
        }
        entries
    }

    /// An http or https URL without a query, a fragment or credentials; its trailing slash is dropped.
    fn url(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        let uri = text.parse::<http::Uri>().ok();
        let parts =
            uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?, uri.query())));
        let Some((scheme @ ("http" | "https"), authority, None)) = parts else {
            self.mistake(name, "must be an http:// or https:// URL without a query");
            return None;
        };
        if authority.as_str().contains('@') || text.contains('#') {
            self.mistake(name, "must be a URL without user, password and fragment");
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if scheme == "http" && !is_loopback {
            self.warn(format!(
                "{name} is not https: credentials and tokens cross the network in the clear"
            ));
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    pub(super) fn genesys(&mut self, host: HostKind) -> Genesys {
        let needed = host != HostKind::Dev;
        let region = if needed {
            self.required("GENESYS_REGION", "your organization's domain, such as mypurecloud.com")
        } else {
            self.text("GENESYS_REGION").unwrap_or_default()
        };
        let domain = region::domain_of(&region);
        if domain.is_none() && !region.is_empty() {
            let known = region::DOMAINS.join(", ");
            self.mistake(
                "GENESYS_REGION",
                format!("is not a known domain of Genesys Cloud; known are: {known}"),
            );
        }
        let mut credential = |name, what| {
            let value = if needed {
                self.required(name, what)
            } else {
                self.text(name).unwrap_or_default()
            };
            Secret::new(value)
        };
        let client_id = credential(
            "GENESYS_CLIENT_ID",
            "the id of an OAuth client with grant type client credentials",
        );
        let client_secret = credential("GENESYS_CLIENT_SECRET", "the secret of that OAuth client");
        let derived = |host: &str| format!("https://{host}.{}", domain.unwrap_or("invalid"));
        let login_url = self.url("GENESYS_LOGIN_URL").unwrap_or_else(|| derived("login"));
        let api_url = self.url("GENESYS_API_URL").unwrap_or_else(|| derived("api"));
        let guests_path = self
            .text("GENESYS_GUESTS_PATH")
            .unwrap_or_else(|| "/api/v2/conversations/messaging/guests".to_owned());
        let in_path = |c: char| c.is_ascii_alphanumeric() || "/._~-".contains(c);
        if !guests_path.starts_with('/')
            || guests_path.ends_with('/')
            || !guests_path.chars().all(in_path)
        {
            self.mistake(
                "GENESYS_GUESTS_PATH",
                "must be a path that starts with / and does not end with it",
            );
        }
        let scopes = self
            .raw("GENESYS_SCOPES")
            .unwrap_or_else(|| "messaging:guest:manage messaging:guest:view".to_owned());
        let in_scope = |c: char| c.is_ascii_alphanumeric() || " :._*-".contains(c);
        if !scopes.chars().all(in_scope) {
            self.mistake(
                "GENESYS_SCOPES",
                "must be scopes separated by spaces, such as messaging:guest:manage",
            );
        }
        Genesys { login_url, api_url, guests_path, client_id, client_secret, scopes }
    }

    pub(super) fn store(&mut self, host: HostKind) -> StoreTarget {
        let upstash_url = self.url("UPSTASH_REDIS_REST_URL");
        let upstash_token = self.text("UPSTASH_REDIS_REST_TOKEN");
        let redis = if host == HostKind::Edge { None } else { self.redis_target() };
        match (redis, upstash_url, upstash_token) {
            (Some(_), Some(_), _) => {
                self.mistake("UPSTASH_REDIS_REST_URL", "excludes REDIS_URL: set one of the two");
                StoreTarget::Embedded
            }
            (None, Some(url), Some(token)) => {
                StoreTarget::Upstash { url, token: Secret::new(token) }
            }
            (None, Some(_), None) => {
                self.mistake("UPSTASH_REDIS_REST_TOKEN", "is required with UPSTASH_REDIS_REST_URL");
                StoreTarget::Embedded
            }
            (None, None, _) if host == HostKind::Edge => {
                if !self.is_wrong("UPSTASH_REDIS_REST_URL") {
                    self.mistake("UPSTASH_REDIS_REST_URL", "is required at the edge");
                }
                StoreTarget::Embedded
            }
            (None, None, _) => StoreTarget::Embedded,
            (Some(target), None, _) => StoreTarget::Redis(target),
        }
    }

    fn redis_target(&mut self) -> Option<RedisTarget> {
        let text = self.text("REDIS_URL")?;
        if text.starts_with("redis://") || text.starts_with("rediss://") {
            return Some(RedisTarget::Single(Secret::new(text)));
        }
        if let Some(nodes) = text.strip_prefix("redis-cluster://") {
            // One user and password, before the first node, hold for all.
            let (credentials, nodes) = nodes.rsplit_once('@').map_or(("", nodes), |(c, n)| (c, n));
            let at = if credentials.is_empty() { "" } else { "@" };
            let nodes: Vec<_> = nodes.trim_end_matches('/').split(',').map(str::trim).collect();
            let has_port = |node: &&str| {
                node.rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            };
            if nodes.iter().all(has_port) {
                let url = |node: &&str| Secret::new(format!("redis://{credentials}{at}{node}"));
                return Some(RedisTarget::Cluster(nodes.iter().map(url).collect()));
            }
        }
        self.mistake(
            "REDIS_URL",
            "must be redis://host:port, rediss://host:port, or redis-cluster://host:port,host:port",
        );
        None
    }

    pub(super) fn key_prefix(&mut self) -> String {
        let prefix = self.text("REDIS_KEY_PREFIX").unwrap_or_else(|| "msg:guest:".to_owned());
        if prefix.len() > 128
            || !prefix.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}')
        {
            self.mistake(
                "REDIS_KEY_PREFIX",
                "must be 1 to 128 visible ASCII characters without { and }",
            );
        }
        prefix
    }

    pub(super) fn access(&mut self) -> Access {
        let token_rule = "must be 1 or more visible ASCII characters";
        let secrets = |list: Vec<String>| list.into_iter().map(Secret::new).collect();
        Access {
            operator_tokens: secrets(self.list("OPERATOR_TOKEN", token_rule, is_token)),
            issue_keys: secrets(self.list("ISSUE_KEYS", token_rule, is_token)),
            allowed_origins: self.list(
                "ALLOWED_ORIGINS",
                "must be an origin such as https://www.example.com, without a path",
                is_origin,
            ),
        }
    }

    pub(super) fn fingerprint_keys(&mut self) -> Vec<Secret> {
        let rule = "must not be empty";
        let keys = self.list("FINGERPRINT_KEY", rule, |key| !key.is_empty());
        let keys: Vec<_> = keys.into_iter().map(Secret::new).collect();
        self.check_rotation("FINGERPRINT_KEY", &keys);
        keys
    }

    pub(super) fn sealing_keys(&mut self) -> Vec<SealingKey> {
        let key_of = |text: &str| Some(SealingKey(STANDARD.decode(text).ok()?.try_into().ok()?));
        let rule = "must be 32 bytes in base64 (make one with: openssl rand -base64 32)";
        let keys = self.list("TOKEN_SEALING_KEY", rule, |text| key_of(text).is_some());
        let keys: Vec<_> = keys.iter().filter_map(|text| key_of(text)).collect();
        self.check_rotation("TOKEN_SEALING_KEY", &keys);
        keys
    }

    /// A list of keys in rotation: the first is written with, all are read with. Each one costs work.
    fn check_rotation<K: PartialEq>(&mut self, name: &'static str, keys: &[K]) {
        if self.is_wrong(name) {
            return;
        }
        if keys.len() > MAX_KEYS {
            self.mistake(name, format!("must name at most {MAX_KEYS} keys"));
        }
        let repeats = |(nth, key)| keys.iter().take(nth).any(|earlier| earlier == key);
        if keys.iter().enumerate().any(repeats) {
            self.mistake(name, "must not name the same key twice");
        }
    }

    pub(super) fn listen_addr(&mut self) -> SocketAddr {
        let default = SocketAddr::from(([127, 0, 0, 1], 8787));
        let Some(text) = self.text("LISTEN_ADDR") else { return default };
        text.parse().unwrap_or_else(|_| {
            self.mistake(
                "LISTEN_ADDR",
                "must be an IP address and a port, such as 0.0.0.0:8787 or [::1]:8787",
            );
            default
        })
    }
}

/// Whether a text is an origin as browsers send it: scheme, host and port, in lower case, no path.
fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let in_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
    !scheme.is_empty()
        && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        && !rest.is_empty()
        && rest.chars().all(in_host)
}

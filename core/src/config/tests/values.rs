//! Single values: what is accepted, what is refused, and that no refusal repeats a value.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::read::NAMES;
use super::super::{Config, HostKind, LogFormat};
use super::{mistaken, parse, parse_for};

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = parse(&[]);
    assert_eq!(config.genesys.login_url, "https://login.mypurecloud.com");
    assert_eq!(config.genesys.api_url, "https://api.mypurecloud.com");
    assert_eq!(config.genesys.guests_path, "/api/v2/conversations/messaging/guests");
    assert_eq!(config.genesys.scopes, "messaging:guest:manage messaging:guest:view");
    let limits = &config.limits;
    assert_eq!((limits.cap, limits.ttl_ms, limits.max_age_ms), (3, 3_600_000, 0));
    assert_eq!((limits.rate_per_device, limits.rate_per_ip), (0, 0));
    assert_eq!((limits.flight_ms, limits.lease_ms), (20_000, 30_000));
    let retry = config.retry;
    assert_eq!((retry.max_attempts, retry.base_delay_ms, retry.jitter_ms), (3, 1000, 500));
    assert_eq!(config.request_deadline_ms, 15_000);
    assert_eq!((config.revoke_max_attempts, config.sweep_interval_ms), (12, 5000));
    assert_eq!((config.key_prefix.as_str(), config.shards), ("msg:guest:", 1));
    assert!(config.access.operator_tokens.is_empty() && config.access.issue_keys.is_empty());
    assert!(config.access.allowed_origins.is_empty());
    assert!(config.fingerprint_keys.is_empty() && config.token_sealing_keys.is_empty());
    assert!(!config.trust_proxy);
    assert_eq!(config.listen_addr.to_string(), "127.0.0.1:8787");
    assert_eq!((config.log_format, config.log_level), (LogFormat::Text, tracing::Level::INFO));
}

/// Bad and good values of every variable that can be wrong by itself.
const VALUES: &[(&str, &[&str], &[&str])] = &[
    (
        "GENESYS_REGION",
        &["mypurecloud.org", "com", "https://mypurecloud.com", "login.mypurecloud.com"],
        &["mypurecloud.ie"],
    ),
    (
        "GENESYS_LOGIN_URL",
        &["login", "ftp://x", "https://u:p@x", "https://x/?q=1", "https://x/#f", "https://"],
        &["https://x", "http://127.0.0.1:9/x/"],
    ),
    ("GENESYS_API_URL", &["/api", "ws://x", "https://u@x"], &["https://api.example:8443"]),
    (
        "GENESYS_GUESTS_PATH",
        &["guests", "/guests/", "/", "/a b", "/a?b", "/a%20b"],
        &["/guests", "/v3/x.y/~z_-"],
    ),
    ("GENESYS_SCOPES", &["a&b", "a=b", "a+b", "a%20b", "ä", "a,b"], &["a", "a:b c:d", "x_y.z*"]),
    ("MAX_SESSIONS_PER_DEVICE", &["0", "1001", "-1", "x", "1.5", "99999999999"], &["1", "1000"]),
    ("SESSION_TTL_SECONDS", &["0", "31536001", "1h"], &["1", "31536000"]),
    ("SESSION_MAX_AGE_SECONDS", &["-1", "31536001"], &["0", "31536000"]),
    ("RETRY_MAX_ATTEMPTS", &["0", "11"], &["1", "10"]),
    ("RETRY_BASE_DELAY_MS", &["-1", "60001"], &["0", "60000"]),
    ("RETRY_JITTER_MS", &["-1", "60001"], &["0", "60000"]),
    ("REQUEST_DEADLINE_MS", &["99", "600001"], &["100", "600000"]),
    ("REVOKE_MAX_ATTEMPTS", &["0", "1001"], &["1", "1000"]),
    ("REVOKE_LEASE_MS", &["999", "3600001"], &["1000", "3600000"]),
    ("SWEEP_INTERVAL_MS", &["49", "3600001"], &["50", "3600000"]),
    (
        "REDIS_URL",
        &["localhost:6379", "http://x", "redis-cluster://a", "redis-cluster://a:1,b"],
        &["redis://h", "rediss://:p@h:1/0"],
    ),
    ("REDIS_KEY_PREFIX", &["a{b", "a}b", "a b", "ü"], &["x", "app:guests:"]),
    ("REDIS_SHARDS", &["0", "1025"], &["1", "1024"]),
    ("OPERATOR_TOKEN", &["a b", "a,,b", "ü"], &["a", "a,b", " a , b "]),
    ("ISSUE_KEYS", &["a b", ",a"], &["a,b,c"]),
    (
        "ALLOWED_ORIGINS",
        &["www.example.com", "https://x/", "https://X", "*", "https://x,"],
        &["https://x", "http://x:80,https://[::1]:1"],
    ),
    (
        "FINGERPRINT_KEY",
        &[",", "new,", ",old", "a,,b", "same,same", "a,b,c,d,e"],
        &["one", "new, old", "a,b,c,d"],
    ),
    (
        "TOKEN_SEALING_KEY",
        &[
            "short",
            "AAAA",
            "!",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ],
        &[
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ],
    ),
    ("RATE_LIMIT_PER_DEVICE", &["-1", "1000001"], &["0", "1000000"]),
    ("RATE_LIMIT_PER_IP", &["-1", "1000001"], &["0", "1000000"]),
    ("TRUST_PROXY", &["yes", "1"], &["true", "false", "True"]),
    (
        "LISTEN_ADDR",
        &["localhost:80", "0.0.0.0", ":80", "1.2.3.4:99999"],
        &["0.0.0.0:80", "[::1]:0"],
    ),
    ("LOG_FORMAT", &["xml"], &["text", "json", "JSON"]),
    ("LOG_LEVEL", &["verbose", "0"], &["error", "warn", "info", "debug", "trace"]),
];

#[test]
fn good_values_are_taken_and_bad_ones_are_mistakes_of_their_variable_alone() {
    for (name, bad, good) in VALUES {
        for value in *bad {
            assert_eq!(mistaken(HostKind::Origin, &[(name, value)]), [*name], "{value}");
        }
        for value in *good {
            let parsed = parse_for(HostKind::Origin, &[(name, value)]);
            assert!(parsed.is_ok(), "{name}={value}: {:?}", parsed.err());
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_documentation() {
    let variables: Vec<_> = VALUES.iter().map(|(name, bad, _)| (*name, bad[0])).collect();
    let names = mistaken(HostKind::Origin, &variables);
    assert_eq!(names, VALUES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    let documented: Vec<_> = NAMES.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(names, documented);
}

#[test]
fn no_mistake_repeats_a_value() {
    const MARK: &str = "hunter2/?#{ü";
    let variable = |_: &str| Ok(Some(MARK.to_owned()));
    for host in [HostKind::Origin, HostKind::Dev, HostKind::Edge] {
        let mistakes = Config::parse(host, &variable).unwrap_err();
        assert!(mistakes.0.len() > 20);
        assert!(!format!("{mistakes} {mistakes:?}").contains("hunter2"), "{mistakes}");
    }
}

#[test]
fn a_configuration_shows_no_secret() {
    let config = parse(&[
        ("GENESYS_CLIENT_ID", "hunter2-id"),
        ("GENESYS_CLIENT_SECRET", "hunter2-secret"),
        ("REDIS_URL", "redis://user:hunter2@host:1"),
        ("OPERATOR_TOKEN", "hunter2-a,hunter2-b"),
        ("ISSUE_KEYS", "hunter2-c"),
        ("FINGERPRINT_KEY", "hunter2-d"),
        ("TOKEN_SEALING_KEY", "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMjEyMzQ="),
    ]);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    let upstash = [
        ("UPSTASH_REDIS_REST_URL", "https://x.upstash.io"),
        ("UPSTASH_REDIS_REST_TOKEN", "hunter2"),
    ];
    assert!(!format!("{:?}", parse(&upstash)).contains("hunter2"));
    let cluster = [("REDIS_URL", "redis-cluster://:hunter2@a:1,b:2"), ("REDIS_SHARDS", "2")];
    assert!(!format!("{:?}", parse(&cluster)).contains("hunter2"));
}

#[test]
fn an_empty_variable_is_unset() {
    let empty: Vec<_> = VALUES
        .iter()
        .map(|(name, ..)| *name)
        .filter(|n| *n != "GENESYS_REGION" && *n != "GENESYS_SCOPES")
        .map(|n| (n, " "))
        .collect();
    let (unset, empty) = (parse(&[]), parse(&empty));
    assert_eq!(format!("{unset:?}"), format!("{empty:?}"));
    for name in ["GENESYS_REGION", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"] {
        assert_eq!(mistaken(HostKind::Origin, &[(name, "")]), [name]);
    }
}

#[test]
fn empty_scopes_ask_for_none() {
    assert_eq!(parse(&[("GENESYS_SCOPES", "")]).genesys.scopes, "");
}

#[test]
fn a_variable_that_cannot_be_read_is_a_mistake() {
    let variable = |name: &str| match name {
        "GENESYS_CLIENT_SECRET" => Err("its file cannot be read".to_owned()),
        _ => Ok(None),
    };
    let mistakes = Config::parse(HostKind::Origin, &variable).unwrap_err();
    let told: Vec<_> = mistakes.0.iter().map(|m| (m.name, m.problem.as_str())).collect();
    assert_eq!(told[2], ("GENESYS_CLIENT_SECRET", "its file cannot be read"));
    assert_eq!(told.len(), 3);
}

proptest! {
    #[test]
    fn no_value_makes_the_parser_panic(
        values in prop::collection::vec((0..NAMES.len(), ".{0,40}|[0-9]{1,25}|redis(s|-cluster)?://.{0,20}|https?://.{0,20}"), 0..8),
        host in prop::sample::select(vec![HostKind::Origin, HostKind::Dev, HostKind::Edge]),
    ) {
        let variables: Vec<_> = values.iter().map(|(n, value)| (NAMES[*n], value.as_str())).collect();
        if let Err(mistakes) = parse_for(host, &variables) {
            prop_assert!(!mistakes.0.is_empty());
            for mistake in &mistakes.0 {
                prop_assert!(NAMES.contains(&mistake.name), "{}", mistake.name);
            }
        }
    }
}

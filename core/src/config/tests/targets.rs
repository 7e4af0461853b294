//! Where Genesys and Redis are, and what hosts need.

use super::super::region::DOMAINS;
use super::super::{HostKind, RedisTarget, StoreTarget};
use super::{mistaken, parse, parse_for};
use crate::config::Config;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_region_gives_its_two_hosts() {
    assert_eq!(DOMAINS.len(), 18);
    for domain in DOMAINS {
        for region in [domain.to_owned(), format!("api.{domain}"), domain.to_uppercase()] {
            let genesys = parse(&[("GENESYS_REGION", &region)]).genesys;
            assert_eq!(genesys.login_url, format!("https://login.{domain}"));
            assert_eq!(genesys.api_url, format!("https://api.{domain}"));
        }
    }
}

#[test]
fn an_unknown_region_is_refused_with_the_known_ones() {
    let mistakes = parse_for(HostKind::Origin, &[("GENESYS_REGION", "example.org")]).unwrap_err();
    for domain in DOMAINS {
        assert!(mistakes.to_string().contains(domain), "{domain}");
    }
    assert!(!mistakes.to_string().contains("example.org"));
}

#[test]
fn urls_override_the_region() {
    let login = parse(&[("GENESYS_LOGIN_URL", "http://127.0.0.1:1/")]);
    assert_eq!(login.genesys.login_url, "http://127.0.0.1:1");
    assert_eq!(login.genesys.api_url, "https://api.mypurecloud.com");
    let api = parse(&[("GENESYS_API_URL", "https://proxy.example/genesys/")]);
    assert_eq!(api.genesys.api_url, "https://proxy.example/genesys");
    assert_eq!(api.genesys.login_url, "https://login.mypurecloud.com");
}

#[test]
fn clear_text_beyond_the_loopback_is_worth_a_warning() {
    let warns = |url: &str| {
        let warnings = parse(&[("GENESYS_API_URL", url)]).warnings;
        warnings.iter().any(|warning| warning.starts_with("GENESYS_API_URL"))
    };
    assert!(warns("http://genesys.example"));
    for quiet in
        ["https://genesys.example", "http://localhost:1", "http://[::1]:1", "http://127.0.0.2"]
    {
        assert!(!warns(quiet), "{quiet}");
    }
}

#[test]
fn credentials_are_required_except_in_development() {
    let nothing = |_: &str| Ok(None);
    let names = |host| -> Vec<_> {
        Config::parse(host, &nothing).unwrap_err().0.iter().map(|m| m.name).collect()
    };
    let genesys = ["GENESYS_REGION", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"];
    assert_eq!(names(HostKind::Origin), genesys);
    assert_eq!(names(HostKind::Edge)[..3], genesys);
    assert_eq!(names(HostKind::Edge)[3], "UPSTASH_REDIS_REST_URL");
    let dev = Config::parse(HostKind::Dev, &nothing).unwrap();
    assert!(matches!(dev.store, StoreTarget::Embedded));
    assert!(dev.warnings.is_empty(), "{:?}", dev.warnings);
}

#[test]
fn a_wrong_region_is_a_mistake_in_development_too() {
    assert_eq!(mistaken(HostKind::Dev, &[("GENESYS_REGION", "nowhere")]), ["GENESYS_REGION"]);
}

#[test]
fn memory_and_missing_operators_are_worth_a_warning_at_the_origin() {
    let bare = parse(&[]).warnings.join("\n");
    assert!(bare.contains("REDIS_URL") && bare.contains("OPERATOR_TOKEN"), "{bare}");
    let full = parse(&[("REDIS_URL", "redis://h"), ("OPERATOR_TOKEN", "t")]);
    assert!(full.warnings.is_empty(), "{:?}", full.warnings);
}

#[test]
fn the_store_is_redis_or_upstash_or_memory() {
    assert!(matches!(parse(&[]).store, StoreTarget::Embedded));
    for url in ["redis://:p@h:6379/2", "rediss://h"] {
        let StoreTarget::Redis(RedisTarget::Single(secret)) = parse(&[("REDIS_URL", url)]).store
        else {
            panic!("{url}")
        };
        assert_eq!(secret.expose(), url);
    }
    let upstash = [
        ("UPSTASH_REDIS_REST_URL", "https://x.upstash.io/"),
        ("UPSTASH_REDIS_REST_TOKEN", "token"),
    ];
    let StoreTarget::Upstash { url, token } = parse(&upstash).store else { panic!() };
    assert_eq!((url.as_str(), token.expose()), ("https://x.upstash.io", "token"));
    let both = [("REDIS_URL", "redis://h"), upstash[0], upstash[1]];
    assert_eq!(mistaken(HostKind::Origin, &both), ["UPSTASH_REDIS_REST_URL"]);
    assert_eq!(mistaken(HostKind::Origin, &upstash[..1]), ["UPSTASH_REDIS_REST_TOKEN"]);
    let edge = parse_for(HostKind::Edge, &[("REDIS_URL", "redis://h")]).unwrap();
    assert!(
        matches!(edge.store, StoreTarget::Upstash { .. }),
        "REDIS_URL means nothing at the edge"
    );
}

#[test]
fn a_cluster_needs_shards() {
    let cluster = ("REDIS_URL", "redis-cluster://user:p@a:1,b:2");
    assert_eq!(mistaken(HostKind::Origin, &[cluster]), ["REDIS_SHARDS"]);
    let store = parse(&[cluster, ("REDIS_SHARDS", "2")]).store;
    let StoreTarget::Redis(RedisTarget::Cluster(nodes)) = store else { panic!() };
    let nodes: Vec<_> = nodes.iter().map(|node| node.expose()).collect();
    assert_eq!(nodes, ["redis://user:p@a:1", "redis://user:p@b:2"]);
}

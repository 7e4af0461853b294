//! The configuration: defaults, good and bad values, and how mistakes are told.

mod targets;
mod values;

use std::collections::BTreeMap;

use super::{Config, HostKind, Mistakes};

/// Parses these variables, besides the required ones.
fn parse_for(host: HostKind, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let mut all = BTreeMap::from([
        ("GENESYS_REGION", "mypurecloud.com"),
        ("GENESYS_CLIENT_ID", "id"),
        ("GENESYS_CLIENT_SECRET", "secret"),
    ]);
    if host == HostKind::Edge {
        all.insert("UPSTASH_REDIS_REST_URL", "https://redis.example");
        all.insert("UPSTASH_REDIS_REST_TOKEN", "token");
    }
    all.extend(variables.iter().copied());
    Config::parse(host, &|name| Ok(all.get(name).map(|value| (*value).to_owned())))
}

fn parse(variables: &[(&str, &str)]) -> Config {
    parse_for(HostKind::Origin, variables).unwrap()
}

/// The names of the mistakes in these variables.
fn mistaken(host: HostKind, variables: &[(&str, &str)]) -> Vec<&'static str> {
    let mistakes = parse_for(host, variables).expect_err(&format!("{variables:?}"));
    mistakes.0.iter().map(|mistake| mistake.name).collect()
}

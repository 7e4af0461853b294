//! The regions of Genesys Cloud. Source: Genesys' list of platform API hosts, as read in November 2026.

/// Every domain whose login and API hosts are `login.<domain>` and `api.<domain>`.
pub(super) const DOMAINS: [&str; 18] = [
    "mypurecloud.com",
    "mypurecloud.ie",
    "mypurecloud.com.au",
    "mypurecloud.jp",
    "mypurecloud.de",
    "usw2.pure.cloud",
    "cac1.pure.cloud",
    "apne2.pure.cloud",
    "euw2.pure.cloud",
    "aps1.pure.cloud",
    "sae1.pure.cloud",
    "mec1.pure.cloud",
    "apne3.pure.cloud",
    "euc2.pure.cloud",
    "mxc1.pure.cloud",
    "apse1.pure.cloud",
    "use2.us-gov-pure.cloud",
    "edee1.eusc-pure.cloud",
];

/// The known domain that a region names: itself, or with `api.` before it.
pub(super) fn domain_of(region: &str) -> Option<&'static str> {
    let lower = region.to_ascii_lowercase();
    let name = lower.strip_prefix("api.").unwrap_or(&lower);
    DOMAINS.into_iter().find(|domain| *domain == name)
}

//! Whose request it is: the peer's address, or what the last proxy says.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// The address of the client. Behind a trusted proxy that is the last hop of `X-Forwarded-For`: the only one
/// that the proxy itself wrote. The peer's address stands in where there is none that can be read.
/// IPv4 in IPv6 clothes counts as IPv4.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trust_proxy: bool) -> IpAddr {
    let forwarded = if trust_proxy { last_hop(headers) } else { None };
    forwarded.unwrap_or(peer).to_canonical()
}

fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let last_header = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let hop = last_header.rsplit(',').next()?.trim();
    if let Ok(address) = hop.parse() {
        return Some(address);
    }
    // Some proxies add the port, or brackets alone.
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn address(peer: &str, hops: &[&str], trust_proxy: bool) -> String {
        let mut headers = HeaderMap::new();
        for hop in hops {
            headers.append("x-forwarded-for", HeaderValue::from_str(hop).unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, trust_proxy).to_string()
    }

    #[test]
    fn the_peer_counts_unless_a_proxy_is_trusted() {
        assert_eq!(address("192.0.2.1", &["198.51.100.7"], false), "192.0.2.1");
        assert_eq!(address("192.0.2.1", &["198.51.100.7"], true), "198.51.100.7");
        assert_eq!(address("192.0.2.1", &[], true), "192.0.2.1");
    }

    #[test]
    fn only_the_last_hop_is_believed() {
        assert_eq!(address("192.0.2.1", &["203.0.113.9, 198.51.100.7"], true), "198.51.100.7");
        assert_eq!(
            address("192.0.2.1", &["203.0.113.9", "10.0.0.1 ,  198.51.100.8 "], true),
            "198.51.100.8"
        );
    }

    #[test]
    fn an_unreadable_hop_falls_back_to_the_peer() {
        for hop in ["unknown", "", "1.2.3.4,", "1.2.3", "_hidden", "[::1", "1.2.3.4:port"] {
            assert_eq!(address("192.0.2.1", &[hop], true), "192.0.2.1", "{hop}");
        }
    }

    #[test]
    fn addresses_are_taken_in_every_notation_and_made_canonical() {
        assert_eq!(address("::ffff:192.0.2.1", &[], false), "192.0.2.1");
        assert_eq!(address("192.0.2.1", &["::ffff:198.51.100.7"], true), "198.51.100.7");
        assert_eq!(address("192.0.2.1", &["198.51.100.7:4711"], true), "198.51.100.7");
        assert_eq!(address("192.0.2.1", &["[2001:db8::1]:4711"], true), "2001:db8::1");
        assert_eq!(address("192.0.2.1", &["[2001:db8::1]"], true), "2001:db8::1");
    }
}

//! The client's address: the peer of the connection, or what a trusted proxy says about it.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::config::TrustedProxies;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub ip: IpAddr,
    /// It was passed on by a program that is not known as a proxy: its real sender may be anybody.
    pub relayed_by_a_stranger: bool,
}

impl Client {
    /// The nearest address that no trusted proxy owns. Everything left of it in `X-Forwarded-For` was written by
    /// strangers and is not looked at.
    pub fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let mut ip = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        if !trusted.contains(ip) {
            let relayed = [&X_FORWARDED_FOR, &X_REAL_IP, &FORWARDED].iter().any(|n| headers.contains_key(*n));
            return Self { ip, relayed_by_a_stranger: relayed };
        }
        let said = headers.get_all(&X_FORWARDED_FOR).rev().filter_map(|v| v.to_str().ok());
        for hop in said.flat_map(|v| v.rsplit(',')) {
            let Some(address) = parse(hop.trim()) else { break };
            ip = address;
            if !trusted.contains(ip) {
                break;
            }
        }
        Self { ip, relayed_by_a_stranger: false }
    }

    /// Is it this machine or a private network, as far as can be told?
    pub fn is_near(&self) -> bool {
        let near = match self.ip {
            IpAddr::V4(a) => a.is_loopback() || a.is_private() || a.is_link_local(),
            IpAddr::V6(a) => a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
        };
        near && !self.relayed_by_a_stranger
    }

    /// The key its requests are counted under: an IPv6 client owns a whole /64.
    pub fn quota_key(&self) -> String {
        match self.ip {
            IpAddr::V4(a) => format!("gateway:{a}"),
            IpAddr::V6(a) => {
                let [a, b, c, d, ..] = a.segments();
                format!("gateway:{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}

/// An address as proxies write it: with or without port and brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let address = bare.unwrap_or(hop);
    let parsed = address.parse::<IpAddr>().ok();
    let parsed = parsed.or_else(|| address.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()));
    parsed.map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, said: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(X_FORWARDED_FOR.clone(), HeaderValue::from_str(value).expect("a value"));
        }
        let trusted = TrustedProxies::parse("10.0.0.0/8,fd00::/8").expect("networks");
        Client::of(peer.parse().ok(), &headers, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_from_the_right() {
        for (peer, said, expected) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            ("203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["1.2.3.4, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("fd00::1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(
                client(peer, said).ip,
                expected.parse::<IpAddr>().expect("an address"),
                "{peer} {said:?}"
            );
        }
    }

    #[test]
    fn near_is_private_and_not_relayed() {
        for (peer, said, near) in [
            ("127.0.0.1", &[][..], true),
            ("192.168.1.7", &[], true),
            ("fe80::1", &[], true),
            ("203.0.113.9", &[], false),
            // A proxy nobody configured stands on this machine: its clients are not near.
            ("127.0.0.1", &["127.0.0.1"], false),
            ("10.0.0.1", &["203.0.113.9"], false),
            ("10.0.0.1", &["192.168.0.5"], true),
        ] {
            assert_eq!(client(peer, said).is_near(), near, "{peer} {said:?}");
        }
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_network() {
        let one = client("2001:db8:1:2:3::1", &[]).quota_key();
        assert_eq!(one, client("2001:db8:1:2:ffff::9", &[]).quota_key());
        assert_ne!(one, client("2001:db8:1:3:3::1", &[]).quota_key());
    }
}

//! Which addresses callbacks may reach (`spec/partner-sync-api.md`, "Addresses"). A callback URL is an attacker's
//! input: the name is resolved by [`GuardedResolver`] at connect time, and only addresses it lets through are
//! dialled; a URL with an address in place of a name is judged by [`Policy::check_url`], because such a one
//! never asks a resolver.
//!
//! Exceptions from the setting `callback_allow`: a CIDR opens private networks; `host:port`, named exactly, opens
//! that host at that port, whatever it resolves to (the only way to loopback and metadata addresses).

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why a URL cannot be a callback's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("is not a URL")]
    Malformed,
    #[error("must begin with http:// or https://")]
    Scheme,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("names port {0}, which is not open for callbacks")]
    Port(u16),
    #[error("names an address inside the house or without an owner on the Internet")]
    Address,
}

impl UrlError {
    /// The sentence in Chinese.
    pub fn zh(&self) -> String {
        match self {
            Self::Malformed => "不是有效的网址".into(),
            Self::Scheme => "必须以 http:// 或 https:// 开头".into(),
            Self::Credentials => "不能包含用户名或密码".into(),
            Self::Port(port) => format!("端口 {port} 不允许用于回调"),
            Self::Address => "指向内部或保留的地址".into(),
        }
    }
}

/// Which of the two doors a URL leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Addresses are judged.
    Guarded,
    /// The setting names this host and port.
    Named,
}

/// The list and the exceptions of one process.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    networks: Vec<IpNet>,
    /// Lower-case host as a URL writes it, and port.
    named: HashSet<(String, u16)>,
    /// Ports a URL may name; empty = any.
    ports: Vec<u16>,
}

impl Policy {
    /// `allow`: comma-separated CIDR and `host:port`.
    ///
    /// # Errors
    /// The entry that is neither.
    pub fn new(allow: &str, ports: &[u16]) -> Result<Self, String> {
        let mut policy = Self { ports: ports.to_vec(), ..Self::default() };
        for entry in allow.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            if let Ok(network) = entry.parse::<IpNet>() {
                policy.networks.push(network);
                continue;
            }
            let named = Url::parse(&format!("http://{entry}/")).ok().and_then(|url| {
                let port = entry.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok())?;
                let plain = url.path() == "/" && url.username().is_empty() && url.query().is_none();
                plain.then(|| url.host_str().map(|host| (host.to_owned(), port)))?
            });
            match named {
                Some(named) => drop(policy.named.insert(named)),
                None => return Err(format!("callback_allow: {entry:?} is neither a CIDR nor host:port")),
            }
        }
        Ok(policy)
    }

    /// Reads a URL and says by which door it goes. A name is not resolved here: only the address that is dialled
    /// later counts.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check_url(&self, text: &str) -> Result<(Url, Door), UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        let port = url.port_or_known_default().ok_or(UrlError::Scheme)?;
        let host = url.host_str().ok_or(UrlError::Malformed)?;
        if self.named.contains(&(host.to_owned(), port)) {
            return Ok((url, Door::Named));
        }
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Err(UrlError::Port(port));
        }
        let address = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if address.is_some_and(|ip| !self.allows(ip)) {
            return Err(UrlError::Address);
        }
        Ok((url, Door::Guarded))
    }

    /// May this address be dialled?
    pub fn allows(&self, ip: IpAddr) -> bool {
        match kind(ip) {
            Kind::Public => true,
            Kind::Private => self.networks.iter().any(|network| network.contains(&ip)),
            Kind::Never => false,
        }
    }
}

/// What an address is to a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    /// Somebody's own network: a CIDR of the setting may open it.
    Private,
    /// Loopback, link-local with the metadata services, multicast, reserved, translated: no CIDR opens it.
    Never,
}

/// Everything of the IANA special-purpose registry that is not globally reachable, and a few more.
const NEVER_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with 169.254.169.254.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    // 6to4 relays.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
    // Metadata of Alibaba Cloud, inside the CGNAT range.
    (Ipv4Addr::new(100, 100, 100, 200), 32),
];
const PRIVATE_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // CGNAT.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
];
/// Only 2000::/3 is given out; of that, these are not.
const NEVER_V6: &[(Ipv6Addr, u8)] = &[
    // IETF protocol assignments, with Teredo 2001::/32, ORCHID, benchmarking.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const GIVEN_OUT_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const UNIQUE_LOCAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);
/// Metadata of AWS.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(ip) => {
            let within = |list: &[(Ipv4Addr, u8)]| {
                list.iter().any(|(net, bits)| Ipv4Net::new_assert(*net, *bits).contains(&ip))
            };
            if within(NEVER_V4) {
                Kind::Never
            } else if within(PRIVATE_V4) {
                Kind::Private
            } else {
                Kind::Public
            }
        }
        IpAddr::V6(ip) => {
            let within = |(net, bits): &(Ipv6Addr, u8)| Ipv6Net::new_assert(*net, *bits).contains(&ip);
            if within(&GIVEN_OUT_V6) && !NEVER_V6.iter().any(within) {
                Kind::Public
            } else if within(&UNIQUE_LOCAL_V6) && ip != METADATA_V6 {
                Kind::Private
            } else {
                // Loopback, mapped, compatible, NAT64, link-local, multicast and what nobody has been given.
                Kind::Never
            }
        }
    }
}

/// Resolves names for the callback client and keeps back what may not be dialled.
pub struct GuardedResolver {
    policy: Arc<Policy>,
    names: Arc<dyn Resolve>,
}

impl GuardedResolver {
    /// `names` does the asking; [`SystemNames`] in production.
    pub fn new(policy: Arc<Policy>, names: Arc<dyn Resolve>) -> Self {
        Self { policy, names }
    }
}

/// Every address of a name is refused.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that callbacks may not reach")]
pub struct RefusedAddress;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (asking, policy) = (self.names.resolve(name), Arc::clone(&self.policy));
        Box::pin(async move {
            let found: Vec<SocketAddr> = asking.await?.filter(|a| policy.allows(a.ip())).collect();
            if found.is_empty() {
                return Err(RefusedAddress.into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// The system's own resolver.
pub struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

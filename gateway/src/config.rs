//! The gateway's settings, parsed once: what cannot work is one sentence at the start, never a surprise later.

use std::net::IpAddr;

use contracts::routes::ServiceName;
use ipnet::IpNet;
use platform::{
    service::StartError,
    settings::{GatewaySettings, UpstreamAddress},
};

/// Shortest useful age of a policy: the gateways poll once a second.
const MIN_POLICY_AGE_SECONDS: u64 = 5;

/// Where one service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub service: ServiceName,
    /// One for each replica that is reached by an address of its own; at least one.
    pub addresses: Vec<UpstreamAddress>,
}

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads comma-separated CIDR or single addresses.
    pub fn parse(list: &str) -> Result<Self, StartError> {
        let mut nets = Vec::new();
        for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let net = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            nets.push(net.map_err(|_| {
                StartError::Settings(format!(
                    "gateway.trusted_proxies (BAODAN_GATEWAY__TRUSTED_PROXIES) must be addresses or CIDR separated by commas; {part:?} is not"
                ))
            })?);
        }
        Ok(Self(nets))
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
}

/// The addresses of every service, from `gateway.upstreams`.
pub(crate) fn upstreams(settings: &GatewaySettings) -> Result<Vec<Upstream>, StartError> {
    let mut problems: Vec<String> = settings
        .upstreams
        .keys()
        .filter(|name| !ServiceName::ALL.iter().any(|s| s.as_str() == name.as_str()))
        .map(|name| format!("gateway.upstreams names {name:?}, which is no service"))
        .collect();
    let mut found = Vec::new();
    for service in ServiceName::ALL {
        match settings.addresses(service) {
            Ok(addresses) => found.push(Upstream { service, addresses }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(StartError::Settings(problems.join("; "))) }
}

/// Longest a snapshot is served that cannot be renewed, milliseconds.
pub(crate) fn policy_max_age_ms(settings: &GatewaySettings) -> Result<i64, StartError> {
    let seconds = settings.policy_max_age_seconds;
    if !(MIN_POLICY_AGE_SECONDS..=86_400).contains(&seconds) {
        return Err(StartError::Settings(format!(
            "gateway.policy_max_age_seconds must be between {MIN_POLICY_AGE_SECONDS} and 86400; it is {seconds}"
        )));
    }
    Ok(seconds as i64 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_upstream_is_named_or_the_start_says_which_is_not() {
        let mut settings = GatewaySettings::default();
        for (name, url) in
            [("auth", "http://auth:1"), ("report", "http://[::1]:2/"), ("order", "http://10.0.0.1")]
        {
            settings.upstreams.insert(name.into(), url.into());
        }
        let text = upstreams(&settings).expect_err("sync is missing").to_string();
        assert!(text.contains("BAODAN_GATEWAY__UPSTREAMS__SYNC") && !text.contains("AUTH"), "{text}");
        settings.upstreams.insert("sync".into(), "http://sync:4, http://sync:5".into());
        let all = upstreams(&settings).expect("four services");
        let authorities: Vec<_> =
            all.iter().flat_map(|u| &u.addresses).map(UpstreamAddress::authority).collect();
        assert_eq!(authorities, ["auth:1", "[::1]:2", "10.0.0.1:80", "sync:4", "sync:5"]);
        for bad in [
            "https://sync:4",
            "sync:4",
            "http://sync:4/base",
            "http://u:p@sync:4",
            "http://sync:4/?a=1",
            "",
            "http://sync:4,",
            "http://sync:4,http://sync:4",
        ] {
            settings.upstreams.insert("sync".into(), bad.into());
            assert!(upstreams(&settings).is_err(), "{bad}");
        }
        settings.upstreams.insert("sync".into(), "http://sync:4".into());
        settings.upstreams.insert("snyc".into(), "http://sync:4".into());
        assert!(upstreams(&settings).is_err(), "a misspelt name was accepted");
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let trusted = TrustedProxies::parse("10.0.0.0/8, ::1,192.168.1.7").expect("a list");
        for (address, inside) in [("10.200.0.1", true), ("::1", true), ("192.168.1.8", false)] {
            assert_eq!(trusted.contains(address.parse().expect("an address")), inside, "{address}");
        }
        assert!(TrustedProxies::parse("10.0.0.0/33").is_err() && TrustedProxies::parse("proxy").is_err());
        assert!(!TrustedProxies::parse("").expect("empty").contains([127, 0, 0, 1].into()));
    }
}

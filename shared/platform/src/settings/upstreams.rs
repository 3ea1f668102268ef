//! Where the services answer that this process asks.

use contracts::routes::ServiceName;

use super::GatewaySettings;

/// Replicas of one service at the most.
const MAX_REPLICAS: usize = 64;

/// Where one replica answers. Plain HTTP: what encrypts between the processes is the network's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAddress {
    pub host: String,
    pub port: u16,
}

impl UpstreamAddress {
    /// The `Host` header and the base of URLs: `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl GatewaySettings {
    /// The replicas of a service, one or more.
    ///
    /// # Errors
    /// One sentence: it is not named, or not by addresses.
    pub fn addresses(&self, service: ServiceName) -> Result<Vec<UpstreamAddress>, String> {
        let name = service.as_str();
        let Some(text) = self.upstreams.get(name) else {
            return Err(format!(
                "gateway.upstreams.{name} is missing: set BAODAN_GATEWAY__UPSTREAMS__{}=http://host:port",
                name.to_uppercase()
            ));
        };
        read(text).ok_or_else(|| {
            format!(
                "gateway.upstreams.{name} must look like http://host:port, without a path, for several replicas separated by commas; it is {text:?}"
            )
        })
    }
}

fn read(list: &str) -> Option<Vec<UpstreamAddress>> {
    let addresses = list.split(',').map(|text| address(text.trim())).collect::<Option<Vec<_>>>()?;
    let distinct = addresses.iter().enumerate().all(|(i, a)| !addresses[..i].contains(a));
    (distinct && addresses.len() <= MAX_REPLICAS).then_some(addresses)
}

fn address(text: &str) -> Option<UpstreamAddress> {
    let url = url::Url::parse(text).ok()?;
    // The internal token is bound to the path, so a path in front of it cannot work.
    let plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = match url.host()? {
        url::Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    };
    plain.then(|| UpstreamAddress { host, port: url.port_or_known_default().unwrap_or(80) })
}

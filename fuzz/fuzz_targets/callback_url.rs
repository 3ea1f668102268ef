#![no_main]
//! The address of a callback, and what its name resolves to. The input is a URL and, behind the first NUL, addresses
//! of 16 bytes that a hostile name server answers with.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use sync_service::delivery::guard::{Door, GuardedResolver, Policy, UrlError};

/// A network of the house that the settings open, and a host that they name.
const OPENED: [u8; 2] = [10, 9];
static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    Arc::new(Policy::new("receiver.internal:8443, 10.9.0.0/16", &[]).expect("a list that reads"))
});

/// Another's opinion of what must not be dialled: the standard library's.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            [a, b] != OPENED
                && (ip.is_private()
                    || ip.is_loopback()
                    || ip.is_link_local()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_broadcast()
                    || ip.is_documentation()
                    || a == 0
                    || (a == 100 && (64..128).contains(&b)))
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4().is_some()
        }
    }
}

/// The address that a host stands for without asking anybody, however it is written.
fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn a_url_that_is_taken_leads_outside(text: &str) {
    let (url, door) = match POLICY.check_url(text) {
        Ok(taken) => taken,
        Err(UrlError::Port(port)) => panic!("every port is open, also {port}"),
        Err(_) => return,
    };
    assert!(matches!(url.scheme(), "http" | "https"), "{text:?}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text:?}");
    let host = url.host_str().expect("a host");
    match door {
        Door::Guarded => assert!(!address(host).is_some_and(is_inside), "{text:?} leads to {host}"),
        Door::Named => {
            assert_eq!((host, url.port_or_known_default()), ("receiver.internal", Some(8443)), "{text:?}")
        }
    }
    // Written out and read again it is the same, and the HTTP client, which reads it by another parser, dials the
    // same host and port.
    let again: Url =
        POLICY.check_url(url.as_str()).unwrap_or_else(|e| panic!("{text:?} became {url}, and then {e}")).0;
    assert_eq!(again, url, "{text:?}");
    if let Ok(uri) = url.as_str().parse::<http::Uri>() {
        assert_eq!((uri.host(), uri.port_u16()), (Some(host), url.port()), "{text:?}");
    }
}

/// A name server that says what it is told to.
struct Answers(Vec<IpAddr>);

impl Resolve for Answers {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Addrs = Box::new(self.0.clone().into_iter().map(|ip| SocketAddr::new(ip, 0)));
        Box::pin(async move { Ok(found) })
    }
}

fn only_addresses_outside_are_dialled(answers: Vec<IpAddr>) {
    let some = answers.len();
    let resolver = GuardedResolver::new(Arc::clone(&POLICY), Arc::new(Answers(answers)));
    let name = "rebind.example".parse().expect("a name");
    let Ok(found) = resolver.resolve(name).now_or_never().expect("it answers at once") else { return };
    let found: Vec<SocketAddr> = found.collect();
    assert!((1..=some).contains(&found.len()), "{found:?}");
    assert!(!found.iter().any(|found| is_inside(found.ip())), "{found:?}");
}

/// 16 bytes; those that begin with 12 zeros are an IPv4 address.
fn answer(bytes: &[u8; 16]) -> IpAddr {
    match bytes.strip_prefix(&[0; 12]) {
        Some(&[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(*bytes).into(),
    }
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (url, rest) = input.split_at(end);
    a_url_that_is_taken_leads_outside(&String::from_utf8_lossy(url));
    let (addresses, _) = rest.get(1..).unwrap_or_default().as_chunks::<16>();
    only_addresses_outside_are_dialled(addresses.iter().map(answer).collect());
});

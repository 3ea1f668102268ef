//! The one place that builds HTTP clients for calls out of the house: time-outs, no redirects, no proxy.

use std::{sync::Arc, time::Duration};

use reqwest::{ClientBuilder, dns::Resolve, redirect::Policy};

/// Limits of an outgoing client.
#[derive(Clone)]
pub struct OutgoingSettings {
    pub connect_timeout_seconds: u64,
    /// From the call until the last byte of the answer.
    pub total_timeout_seconds: u64,
    /// Asked at connect time; the callback sender hands in one that refuses inside addresses
    /// (`spec/partner-sync-api.md`, "Addresses").
    pub resolver: Option<Arc<dyn Resolve>>,
}

impl Default for OutgoingSettings {
    fn default() -> Self {
        Self { connect_timeout_seconds: 5, total_timeout_seconds: 15, resolver: None }
    }
}

/// A builder with the house rules set; callers may add to it and `build()` it once per worker.
/// A URL with an IP address as host never asks a resolver: check such a host before the call.
#[allow(clippy::disallowed_methods)] // the one place that makes reqwest clients
pub fn outgoing(settings: &OutgoingSettings) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
        .timeout(Duration::from_secs(settings.total_timeout_seconds))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(concat!("baodan/", env!("CARGO_PKG_VERSION")));
    match &settings.resolver {
        Some(resolver) => builder.dns_resolver(Arc::clone(resolver)),
        None => builder,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn redirects_are_handed_back_and_the_agent_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = outgoing(&OutgoingSettings::default()).build().expect("a client");
        let call = client.get(format!("http://{address}/")).send();
        let server = async {
            let (mut socket, _) = listener.accept().await.expect("a caller");
            let mut seen = vec![0; 4096];
            let n = socket.read(&mut seen).await.expect("a request");
            let answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.expect("sent");
            String::from_utf8_lossy(&seen[..n]).to_lowercase()
        };
        let (answer, seen) = tokio::join!(call, server);
        assert_eq!(answer.expect("an answer").status().as_u16(), 302);
        assert!(seen.contains(concat!("user-agent: baodan/", env!("CARGO_PKG_VERSION"))), "{seen}");
    }

    struct Nowhere;

    impl Resolve for Nowhere {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("refused by the guard".into()) })
        }
    }

    #[tokio::test]
    async fn a_resolver_that_is_handed_in_decides() {
        let settings = OutgoingSettings { resolver: Some(Arc::new(Nowhere)), ..Default::default() };
        let client = outgoing(&settings).build().expect("a client");
        let error = client.get("http://localhost:1/").send().await.expect_err("refused");
        assert!(format!("{error:?}").contains("refused by the guard"), "{error:?}");
    }
}

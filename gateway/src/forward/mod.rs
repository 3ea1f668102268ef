//! Getting a checked request to its service: mounted in this process, or over HTTP to another one. Both ways
//! the service sees the same: allow-listed headers and one signed token that says who is calling.
//!
//! The client for other processes is our own, on the codec of actix-http (`docs/adr/0005-gateway-client.md`).

mod answer;
mod exchange;
mod failure;
pub(crate) mod headers;
pub(crate) mod mounted;
mod pool;
mod proxy;
mod replicas;

pub(crate) use failure::announce as announce_failures;
pub(crate) use proxy::{Upstreams, beside_unread};
pub(crate) use replicas::{Replicas, watch};

/// What the gateway adds to a request.
pub(crate) struct Signed<'a> {
    /// The internal token.
    pub token: &'a str,
    pub request_id: &'a str,
    pub traceparent: Option<&'a str>,
}

//! Passing a request on to a service in another process.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_http::{ServiceConfig, h1::ClientCodec};
use actix_web::{HttpMessage, HttpResponse, body::BoxBody, dev::ServiceRequest, http::header::HeaderMap};
use bytes::BytesMut;
use contracts::routes::{Method, Route, ServiceName};
use futures_util::{FutureExt, StreamExt};

use super::{
    Signed,
    answer::answer,
    exchange::{Outgoing, exchange},
    failure::Failure,
    headers::{INTERNAL_TOKEN, REQUEST_ID, TRACEPARENT, for_each_allowed},
    pool::{Lease, Pool},
    replicas::Replicas,
};
use crate::limits::{Announced, BesideUnread, BoundedBody};

/// Further tries after the first.
const MAX_RETRIES: u32 = 2;
/// Pause before each further try when nobody accepted the connection: a restart takes a moment.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Room for the head of an ordinary request.
const HEAD_BYTES: usize = 1536;

/// The services one worker reaches.
pub(crate) struct Upstreams {
    pools: Vec<Rc<Pool>>,
}

impl Upstreams {
    /// Called in the worker that will use it: the codec's clock is a task of that worker.
    pub fn new(services: &[Arc<Replicas>]) -> Self {
        let codec = ServiceConfig::default();
        Self { pools: services.iter().map(|s| Pool::new(Arc::clone(s), codec.clone())).collect() }
    }

    fn pool(&self, service: ServiceName) -> &Rc<Pool> {
        // `config::upstreams` has one for every service, in the order of `ALL`.
        &self.pools[ServiceName::ALL.iter().position(|s| *s == service).unwrap_or_default()]
    }

    /// Sends the request on and answers with what came back.
    pub async fn forward(
        &self,
        req: &mut ServiceRequest,
        route: &Route,
        signed: &Signed<'_>,
    ) -> Result<HttpResponse, Failure> {
        let pool = self.pool(route.service);
        let framing = Announced::of(req);
        let mut body = Outgoing { framing, first: None, rest: None };
        if matches!(framing, Announced::Chunked | Announced::Bytes(1..)) {
            let mut rest = BoundedBody::new(req.take_payload(), route.body_limit_bytes);
            match rest.next().await {
                Some(Ok(first)) => {
                    // The usual small body came whole.
                    let whole = framing == Announced::Bytes(first.len() as u64)
                        && matches!(rest.next().now_or_never(), Some(None));
                    body.first = Some(first);
                    body.rest = (!whole).then_some(rest);
                }
                // The refusal is sent beside what was not read: see `BoundedBody::into_unread`.
                Some(Err(fault)) => {
                    req.set_payload(rest.into_unread());
                    return Err(fault.into());
                }
                None => body.framing = Announced::Bytes(0),
            }
        }
        let answer = self.with_retries(pool, req, route, signed, &mut body).await;
        let unread = body.rest.take().map(BoundedBody::into_unread);
        match (answer, unread) {
            (Ok(response), Some(unread)) => Ok(response.map_body(|_, body| BesideUnread::hold(body, unread))),
            (Err(failure), Some(unread)) => {
                req.set_payload(unread);
                Err(failure)
            }
            (answer, None) => answer,
        }
    }

    async fn with_retries(
        &self,
        pool: &Rc<Pool>,
        req: &ServiceRequest,
        route: &Route,
        signed: &Signed<'_>,
        body: &mut Outgoing,
    ) -> Result<HttpResponse, Failure> {
        pool.earn_retry();
        let mut retries = 0;
        loop {
            let failure = match attempt(pool, req, route, signed, body, retries > 0).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let service = pool.replicas.service.as_str();
            metrics::counter!("gateway_upstream_failures_total", "service" => service, "kind" => failure.kind())
                .increment(1);
            let bodiless = body.first.is_none() && body.rest.is_none();
            let safe =
                failure.nothing_was_sent() || (failure.connection_died() && route.idempotent && bodiless);
            if !safe || retries == MAX_RETRIES || !pool.spend_retry() {
                return Err(failure);
            }
            retries += 1;
            metrics::counter!("gateway_upstream_retries_total", "service" => service).increment(1);
            // Another replica need not be waited for.
            if matches!(failure, Failure::Connect(_)) && !pool.has_another() {
                tokio::time::sleep(CONNECT_PAUSE * retries).await;
            }
        }
    }
}

/// One try. `body` is untouched unless something of it was sent.
async fn attempt(
    pool: &Rc<Pool>,
    req: &ServiceRequest,
    route: &Route,
    signed: &Signed<'_>,
    body: &mut Outgoing,
    fresh: bool,
) -> Result<HttpResponse, Failure> {
    let mut lease = pool.lease(fresh).await?;
    let head = request_head(&lease, req, route, signed, body.framing);
    let codec = ClientCodec::new(pool.codec.clone());
    let incoming = exchange(&mut lease, codec, head, body, route.timeout_seconds).await?;
    answer(incoming, lease, signed.request_id)
}

/// The request's head as it goes out. Method and path are the ones the internal token is bound to; header values
/// were parsed by the server, so none of them holds a line break.
fn request_head(
    lease: &Lease,
    req: &ServiceRequest,
    route: &Route,
    signed: &Signed<'_>,
    framing: Announced,
) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEAD_BYTES);
    let target = req.uri().path_and_query().map_or("/", |t| t.as_str());
    for part in [route.method.as_str(), " ", target, " HTTP/1.1\r\nhost: ", lease.authority(), "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let headers: &HeaderMap = req.headers();
    for_each_allowed(headers, route.access, |name, value| put(&mut out, name.as_str(), value.as_bytes()));
    put(&mut out, INTERNAL_TOKEN.as_str(), signed.token.as_bytes());
    put(&mut out, REQUEST_ID.as_str(), signed.request_id.as_bytes());
    if let Some(traceparent) = signed.traceparent {
        put(&mut out, TRACEPARENT.as_str(), traceparent.as_bytes());
    }
    match framing {
        Announced::Chunked => put(&mut out, "transfer-encoding", b"chunked"),
        Announced::Bytes(n) => put(&mut out, "content-length", n.to_string().as_bytes()),
        Announced::Nothing if matches!(route.method, Method::Post | Method::Put) => {
            put(&mut out, "content-length", b"0");
        }
        Announced::Nothing => {}
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn put(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Wraps a refusal around what of the request was not read.
pub(crate) fn beside_unread(req: &mut ServiceRequest, response: HttpResponse) -> HttpResponse {
    let unread = req.take_payload();
    response.map_body(|_, body: BoxBody| BesideUnread::hold(body, unread))
}

//! Questions from one process of the house to another: the gateway's for the policy, order-service's for callbacks. Reads
//! only; what changes something goes by events.
//!
//! A question is a GET of a path below `/internal/`, which no route table opens, with an internal token that is signed
//! for just that path.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use contracts::{
    identity::{Caller, INTERNAL_TOKEN_HEADER, InternalClaims, REQUEST_ID_HEADER},
    routes::ServiceName,
};
use reqwest::{Response, StatusCode};

use super::{
    OutgoingSettings, RequestContext,
    caller::{INTERNAL_TOKEN_SECONDS, InternalKey},
    context::new_request_id,
    outgoing,
};
use crate::{
    clock::Clock,
    service::{Shared, StartError},
    telemetry,
};

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    #[error("nobody to ask")]
    Nobody,
    #[error("{}", with_causes(.0))]
    Http(reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("no internal token could be signed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
}

impl From<reqwest::Error> for InternalError {
    fn from(e: reqwest::Error) -> Self {
        Self::Http(e.without_url())
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Asks the replicas of one service. Cheap to clone.
#[derive(Clone)]
pub struct InternalClient(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    /// `http://host:port`, one for each replica.
    bases: Vec<String>,
    /// The one to ask first: the last that answered.
    first: AtomicUsize,
    key: InternalKey,
    clock: Clock,
}

impl InternalClient {
    /// A client for the service at `gateway.upstreams.<service>`. Each replica has 2 s to answer.
    ///
    /// # Errors
    /// The setting is missing or wrong.
    pub fn new(shared: &Shared, service: ServiceName) -> Result<Self, StartError> {
        let settings = &shared.settings;
        let addresses = settings.gateway.addresses(service).map_err(StartError::Settings)?;
        let secret = settings.keys.internal.as_ref();
        let secret = secret.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
        let limits =
            OutgoingSettings { connect_timeout_seconds: 1, total_timeout_seconds: 2, resolver: None };
        let client = outgoing(&limits).build().map_err(|e| {
            StartError::Settings(format!("the client for {}-service cannot be made: {e}", service.as_str()))
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            bases: addresses.iter().map(|a| format!("http://{}", a.authority())).collect(),
            first: AtomicUsize::new(0),
            key: InternalKey::new(secret),
            clock: shared.clock.clone(),
        })))
    }

    /// Asks one replica after the other until one answers with a 2xx or 304. One that hangs takes the time of this
    /// call; the next call begins with another. `path` is as the service will see it, percent-encoded.
    ///
    /// # Errors
    /// What the last replica did.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Response, InternalError> {
        let Inner { bases, first, .. } = &*self.0;
        let mut failure = InternalError::Nobody;
        for _ in 0..bases.len() {
            let index = first.fetch_add(1, Ordering::Relaxed) % bases.len();
            match self.ask(&bases[index], path, query).await {
                Ok(answer) => {
                    first.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    async fn ask(&self, base: &str, path: &str, query: &[(&str, String)]) -> Result<Response, InternalError> {
        let Inner { client, key, clock, .. } = &*self.0;
        let asked_in = &RequestContext::current().request_id;
        let rid = if asked_in.is_empty() { new_request_id() } else { asked_in.clone() };
        let claims = InternalClaims {
            caller: Caller::anonymous(),
            method: "GET".into(),
            path: path.into(),
            rid: rid.clone(),
            ip: String::new(),
            exp: clock.now_s() + INTERNAL_TOKEN_SECONDS,
        };
        let mut question = client
            .get(format!("{base}{path}"))
            .query(query)
            .header(INTERNAL_TOKEN_HEADER, key.sign(&claims)?)
            .header(REQUEST_ID_HEADER, rid);
        if let Some(traceparent) = telemetry::current_traceparent() {
            question = question.header("traceparent", traceparent);
        }
        let answer = question.send().await?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            Ok(answer)
        } else {
            Err(InternalError::Status(status))
        }
    }
}

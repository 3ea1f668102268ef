//! The policy of an auth-service in another process.

use std::sync::atomic::{AtomicUsize, Ordering};

use contracts::{
    identity::{Caller, INTERNAL_TOKEN_HEADER, InternalClaims},
    policy::{PolicyAnswer, PolicySnapshot, PolicySource, PolicyUnavailable},
    routes::ServiceName,
};
use platform::{
    clock::Clock,
    http::{
        OutgoingSettings,
        caller::{INTERNAL_TOKEN_SECONDS, InternalKey},
        context::new_request_id,
        outgoing,
    },
    service::{Shared, StartError},
};

use crate::config;

/// Where auth-service answers with the policy; the gateway opens it to nobody.
const PATH: &str = "/internal/policy";

/// Asks auth-service over HTTP: `GET /internal/policy?version=<known>` with an internal token for just that; 304
/// when nothing has changed.
pub struct HttpPolicySource {
    client: reqwest::Client,
    /// One for each replica.
    urls: Vec<String>,
    /// The one to ask first: the last that answered.
    first: AtomicUsize,
    key: InternalKey,
    clock: Clock,
}

impl HttpPolicySource {
    /// The source that `gateway.upstreams.auth` names.
    pub fn new(shared: &Shared) -> Result<Self, StartError> {
        let settings = &shared.settings;
        let auth = config::upstreams(&settings.gateway)?
            .into_iter()
            .find(|u| u.service == ServiceName::Auth)
            .ok_or_else(|| StartError::Settings("gateway.upstreams.auth is missing".into()))?;
        let secret = settings.keys.internal.as_ref();
        let secret = secret.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
        let limits =
            OutgoingSettings { connect_timeout_seconds: 1, total_timeout_seconds: 2, resolver: None };
        let client = outgoing(&limits)
            .build()
            .map_err(|e| StartError::Settings(format!("the client for auth-service cannot be made: {e}")))?;
        Ok(Self {
            client,
            urls: auth.addresses.iter().map(|a| format!("http://{}{PATH}", a.authority())).collect(),
            first: AtomicUsize::new(0),
            key: InternalKey::new(secret),
            clock: shared.clock.clone(),
        })
    }

    /// Asks one replica after the other. One that hangs takes the time of this call; the next call begins with
    /// another.
    async fn ask(&self, known_version: i64) -> Result<Option<PolicySnapshot>, PolicyUnavailable> {
        let mut failure = PolicyUnavailable("nobody to ask".into());
        for _ in 0..self.urls.len() {
            let index = self.first.fetch_add(1, Ordering::Relaxed) % self.urls.len();
            match self.ask_one(&self.urls[index], known_version).await {
                Ok(answer) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    async fn ask_one(
        &self,
        url: &str,
        known_version: i64,
    ) -> Result<Option<PolicySnapshot>, PolicyUnavailable> {
        let failed = |e: reqwest::Error| PolicyUnavailable(with_causes(&e.without_url()));
        let claims = InternalClaims {
            caller: Caller::anonymous(),
            method: "GET".into(),
            path: PATH.into(),
            rid: new_request_id(),
            ip: String::new(),
            exp: self.clock.now_s() + INTERNAL_TOKEN_SECONDS,
        };
        let token = self.key.sign(&claims).map_err(|e| PolicyUnavailable(e.to_string()))?;
        let answer = self
            .client
            .get(format!("{url}?version={known_version}"))
            .header(INTERNAL_TOKEN_HEADER, token)
            .send()
            .await
            .map_err(failed)?;
        match answer.status().as_u16() {
            304 => Ok(None),
            200 => answer.json().await.map(Some).map_err(failed),
            status => Err(PolicyUnavailable(format!("it answered {status}"))),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl PolicySource for HttpPolicySource {
    fn fetch(&self, known_version: i64) -> PolicyAnswer<'_> {
        Box::pin(self.ask(known_version))
    }
}

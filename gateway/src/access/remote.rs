//! The policy of an auth-service in another process.

use contracts::{
    policy::{PolicyAnswer, PolicySnapshot, PolicySource, PolicyUnavailable},
    routes::ServiceName,
};
use platform::{
    http::internal::{InternalClient, InternalError},
    service::{Shared, StartError},
};

/// Where auth-service answers with the policy; the gateway opens it to nobody.
const PATH: &str = "/internal/policy";

/// Asks auth-service over HTTP: `GET /internal/policy?version=<known>`; 304 when nothing has changed.
pub struct HttpPolicySource(InternalClient);

impl HttpPolicySource {
    /// The source that `gateway.upstreams.auth` names.
    pub fn new(shared: &Shared) -> Result<Self, StartError> {
        InternalClient::new(shared, ServiceName::Auth).map(Self)
    }

    async fn ask(&self, known_version: i64) -> Result<Option<PolicySnapshot>, InternalError> {
        let answer = self.0.get(PATH, &[("version", known_version.to_string())]).await?;
        Ok(if answer.status().as_u16() == 304 { None } else { Some(answer.json().await?) })
    }
}

impl PolicySource for HttpPolicySource {
    fn fetch(&self, known_version: i64) -> PolicyAnswer<'_> {
        Box::pin(async move { self.ask(known_version).await.map_err(|e| PolicyUnavailable(e.to_string())) })
    }
}

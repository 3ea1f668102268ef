//! `/healthz`, `/readyz`, `/metrics`: for what runs this process, not for its users. They answer peers on this
//! machine or in a private network, unless the request was passed on by a proxy that is not configured as trusted;
//! to everybody else these paths do not exist.

use std::time::Duration;

use actix_web::HttpResponse;
use platform::{db::Db, lifecycle::Readiness, telemetry::PrometheusHandle};

use crate::access::PolicyStore;

/// Longest wait for a database.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Health,
    Ready,
    Metrics,
}

impl Probe {
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

/// What the probes look at.
pub(crate) struct Health {
    pub readiness: Readiness,
    /// Of the services in this process.
    pub databases: Vec<(&'static str, Db)>,
    pub metrics: PrometheusHandle,
}

impl Health {
    pub async fn answer(&self, probe: Probe, policy: &PolicyStore) -> HttpResponse {
        match probe {
            Probe::Health => HttpResponse::Ok().content_type("text/plain").body("ok\n"),
            Probe::Metrics => {
                self.databases.iter().for_each(|(service, db)| db.note_pool(service));
                HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(self.metrics.render())
            }
            Probe::Ready => {
                let missing = self.missing(policy).await;
                if missing.is_empty() {
                    HttpResponse::Ok().content_type("text/plain").body("ready\n")
                } else {
                    let lines: String = missing.iter().map(|m| format!("{m}\n")).collect();
                    HttpResponse::ServiceUnavailable().content_type("text/plain").body(lines)
                }
            }
        }
    }

    /// Everything that keeps requests from being served; empty when they are.
    async fn missing(&self, policy: &PolicyStore) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.readiness.get() {
            missing.push("starting or stopping".to_owned());
        }
        if let Err(e) = policy.current() {
            missing.push(e.to_string());
        }
        for (service, db) in &self.databases {
            if !matches!(tokio::time::timeout(PING_TIMEOUT, db.ping()).await, Ok(Ok(()))) {
                missing.push(format!("the database of {service} does not answer"));
            }
        }
        missing
    }
}

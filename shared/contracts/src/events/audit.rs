use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{event::Payload, identity::Actor};

/// Somebody changed something through the API; auth-service keeps it (`GET /api/audit`). The views are what the
/// API shows of the thing, so they hold no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecorded {
    pub actor: Actor,
    /// `<thing>.<verb>`, for example `report.modify`.
    pub action: String,
    /// Kind of the thing: `report`, `goods`, …
    pub target: String,
    pub target_id: String,
    /// The thing before; null when there was none.
    pub before: Value,
    /// The thing after; null when there is none any more.
    pub after: Value,
    /// The request that did it, "" for the service itself.
    pub request_id: String,
    /// Client address as the gateway saw it.
    pub ip: String,
    /// Unix milliseconds.
    pub at: i64,
}

impl Payload for AuditRecorded {
    const TYPE: &'static str = "audit.recorded";
    const VERSION: u32 = 1;
}

//! What auth-service tells every gateway: who may do what, and which tokens are dead.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use serde::{Deserialize, Serialize};

use crate::identity::CallerKind;

/// The whole access policy at one version. Small by nature: accounts are operators and partners.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicySnapshot {
    /// Rises with every change of anything below.
    pub version: i64,
    /// Permission names in the registry; a route missing here answers 403 status 4.
    pub registered: Vec<String>,
    /// Role id → permission names.
    pub roles: BTreeMap<i64, Vec<String>>,
    pub accounts: Vec<PolicyAccount>,
    pub revoked: Vec<RevokedToken>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyAccount {
    pub id: i64,
    pub kind: CallerKind,
    pub nickname: String,
    /// 0 for operators.
    pub partner_id: i64,
    pub role_ids: Vec<i64>,
    pub enabled: bool,
    /// Tokens with `iat` below this are dead (unix seconds): revoke-all, password change.
    pub tokens_valid_from: i64,
}

/// One token ended before its time; listed until it would have expired anyway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevokedToken {
    pub jti: String,
    /// Unix seconds.
    pub exp: i64,
}

/// Why the policy could not be had.
#[derive(Debug, thiserror::Error)]
#[error("auth-service did not answer with the policy: {0}")]
pub struct PolicyUnavailable(pub String);

pub type PolicyAnswer<'a> =
    Pin<Box<dyn Future<Output = Result<Option<PolicySnapshot>, PolicyUnavailable>> + Send + 'a>>;

/// The gateway's one question to another service: local in the all-in-one, HTTP between processes.
pub trait PolicySource: Send + Sync {
    /// The snapshot if its version differs from `known_version`, else `None`.
    fn fetch(&self, known_version: i64) -> PolicyAnswer<'_>;
}

//! A subscription as the sender uses it: URL read, secrets opened. Never written to a log.

use platform::seal::Sealer;
use secrecy::SecretString;
use url::Url;

use super::{
    dialects::SigningKey,
    guard::{Door, Policy},
};
use crate::{
    entities::subscription::Model,
    subscriptions::{
        rules::{Dialect, SubscriptionStatus},
        service::{self, Sealed},
    },
};

pub struct Target {
    pub subscription_id: i64,
    pub partner_id: i64,
    /// `Err`: why nothing can be sent there (the settings may have changed since it was made).
    pub address: Result<(Url, Door), String>,
    pub dialect: Dialect,
    pub key: Option<SigningKey>,
    pub api_token: Option<SecretString>,
    /// What is being rotated out, and until when (unix ms).
    pub old_key: Option<SigningKey>,
    pub old_api_token: Option<SecretString>,
    pub overlap_until: i64,
    /// Sign with the house's Ed25519 key as well.
    pub asymmetric: bool,
    pub rate_limit: i64,
    /// Active, and not deleted.
    pub active: bool,
    pub open_until: i64,
    pub failing_since: i64,
    /// Rises with every change.
    pub revision: i64,
    pub updated_at: i64,
}

impl Target {
    pub fn read(row: &Model, sealer: &Sealer, policy: &Policy) -> Self {
        let open = |which, sealed: &str| match service::open(sealer, row, which, sealed) {
            Ok(secret) => secret,
            Err(e) => {
                tracing::error!(subscription_id = row.id, error = %e, "a secret of a subscription cannot be opened; its callbacks go without that signature");
                None
            }
        };
        Self {
            subscription_id: row.id,
            partner_id: row.partner_id,
            address: policy.check_url(&row.url).map_err(|e| format!("url {e}")),
            dialect: Dialect::from_word(&row.dialect).unwrap_or(Dialect::Standard),
            key: open(Sealed::Secret, &row.secret).as_ref().and_then(SigningKey::read),
            api_token: open(Sealed::ApiToken, &row.api_token),
            old_key: open(Sealed::Secret, &row.old_secret).as_ref().and_then(SigningKey::read),
            old_api_token: open(Sealed::ApiToken, &row.old_api_token),
            overlap_until: row.old_secret_until,
            asymmetric: row.asymmetric,
            rate_limit: row.rate_limit,
            active: row.deleted_at == 0 && row.status == SubscriptionStatus::Active.word(),
            open_until: row.open_until,
            failing_since: row.failing_since,
            revision: row.revision,
            updated_at: row.updated_at,
        }
    }
}

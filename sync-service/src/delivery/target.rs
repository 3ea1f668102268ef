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
    /// `Err`: why nothing can be sent there (the settings may have changed since it was made).
    pub address: Result<(Url, Door), String>,
    pub dialect: Dialect,
    /// The current one first, then the one being rotated out.
    pub keys: Vec<SigningKey>,
    pub api_token: Option<SecretString>,
    pub rate_limit: i64,
    pub latest_wins: bool,
    /// Active, and not deleted.
    pub active: bool,
    pub open_until: i64,
    pub updated_at: i64,
}

impl Target {
    pub fn read(row: &Model, sealer: &Sealer, policy: &Policy, now: i64) -> Self {
        let open = |which, sealed: &str| match service::open(sealer, row, which, sealed) {
            Ok(secret) => secret,
            Err(e) => {
                tracing::error!(subscription_id = row.id, error = %e, "a secret of a subscription cannot be opened; its callbacks go without that signature");
                None
            }
        };
        let old = if row.old_secret_until > now { row.old_secret.as_str() } else { "" };
        let secrets = [open(Sealed::Secret, &row.secret), open(Sealed::Secret, old)];
        Self {
            subscription_id: row.id,
            address: policy.check_url(&row.url).map_err(|e| format!("url {e}")),
            dialect: Dialect::from_word(&row.dialect).unwrap_or(Dialect::Standard),
            keys: secrets.iter().flatten().filter_map(SigningKey::read).collect(),
            api_token: open(Sealed::ApiToken, &row.api_token),
            rate_limit: row.rate_limit,
            latest_wins: row.latest_wins,
            active: row.deleted_at == 0 && row.status == SubscriptionStatus::Active.word(),
            open_until: row.open_until,
            updated_at: row.updated_at,
        }
    }
}

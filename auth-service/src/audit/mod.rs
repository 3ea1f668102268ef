//! Who did what, before and after: one entry per change, written in the transaction of the change.
//!
//! Other features call [`record`]. `before` and `after` are what the API shows of the thing, so they hold no secret;
//! entries are never changed and never deleted by this service. Logins are not changes and stand in the account
//! (`last_login_at`) and in the metrics.

pub mod http;
mod store;

use contracts::identity::Actor;
use platform::{db::WriteTx, http::caller::Identity};
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::Value;

use crate::app::Ctx;

/// Who makes a change, from where, in which request.
#[derive(Debug, Clone)]
pub struct Who {
    pub actor: Actor,
    pub request_id: String,
    pub ip: String,
}

impl From<&Identity> for Who {
    fn from(identity: &Identity) -> Self {
        Self {
            actor: Actor::from(&identity.caller),
            request_id: identity.request_id.clone(),
            ip: identity.ip.clone(),
        }
    }
}

impl Who {
    /// This service itself.
    pub fn system(name: &str) -> Self {
        Self { actor: Actor::system(name), request_id: String::new(), ip: String::new() }
    }
}

/// What was changed. `action` is `<thing>.<verb>`, for example `partner.key.rotate`.
#[derive(Debug, Clone)]
pub struct Change {
    pub action: &'static str,
    /// Kind of the thing: `account`, `role`, `partner`, …
    pub target: &'static str,
    pub target_id: String,
    pub before: Value,
    pub after: Value,
}

impl Change {
    /// A change of the thing `target` with this id; nothing before, nothing after.
    pub fn new(action: &'static str, target: &'static str, target_id: impl ToString) -> Self {
        Self { action, target, target_id: target_id.to_string(), before: Value::Null, after: Value::Null }
    }

    /// How the thing looked before; a view of the API, never a row with secrets.
    #[must_use]
    pub fn before(mut self, view: &impl Serialize) -> Self {
        self.before = serde_json::to_value(view).unwrap_or(Value::Null);
        self
    }

    /// How the thing looks now.
    #[must_use]
    pub fn after(mut self, view: &impl Serialize) -> Self {
        self.after = serde_json::to_value(view).unwrap_or(Value::Null);
        self
    }
}

/// Adds the entry to the transaction of the change.
pub async fn record(ctx: &Ctx, tx: &WriteTx, who: &Who, change: Change) -> Result<(), DbErr> {
    store::insert(tx, ctx.platform.ids.next(), ctx.platform.clock.now_ms(), who, change).await
}

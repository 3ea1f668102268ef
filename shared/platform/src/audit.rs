//! Who did what, before and after: one entry per change, told in the transaction of the change as `audit.recorded`
//! and kept by auth-service (`GET /api/audit`).
//!
//! `before` and `after` are what the API shows of the thing, so they hold no secret; long texts and lists are cut,
//! so that an entry stays small whatever was changed. Deliberately absent: order states, whose own history
//! (`GET /api/order/{number}/timeline`) says who changed what.

use contracts::{
    events::AuditRecorded,
    identity::{Actor, ActorKind},
};
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::Value;

use crate::{Platform, db::WriteTx, http::caller::Identity};

/// Characters kept of a text.
const MAX_TEXT: usize = 2_000;
/// Elements kept of a list.
const MAX_LIST: usize = 200;

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
    /// A service itself.
    pub fn system(name: &str) -> Self {
        Self { actor: Actor::system(name), request_id: String::new(), ip: String::new() }
    }

    /// An account that asked for it in an earlier request.
    pub fn account_named(name: &str) -> Self {
        let actor = Actor { kind: ActorKind::Account, id: 0, name: name.into() };
        Self { actor, request_id: String::new(), ip: String::new() }
    }
}

/// What was changed. `action` is `<thing>.<verb>`, for example `partner.key.rotate`.
#[derive(Debug, Clone)]
pub struct Change {
    pub action: &'static str,
    /// Kind of the thing: `account`, `report`, `goods`, …
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
        self.before = seen(view);
        self
    }

    /// How the thing looks now.
    #[must_use]
    pub fn after(mut self, view: &impl Serialize) -> Self {
        self.after = seen(view);
        self
    }
}

fn seen(view: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(view).unwrap_or(Value::Null);
    shorten(&mut value);
    value
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(at);
                text.push('…');
            }
        }
        Value::Array(list) => {
            let more = list.len().saturating_sub(MAX_LIST);
            list.truncate(MAX_LIST);
            list.iter_mut().for_each(shorten);
            if more > 0 {
                list.push(Value::from(format!("… +{more}")));
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Tells a change in the transaction that makes it.
///
/// # Errors
/// The database.
pub async fn record(platform: &Platform, tx: &WriteTx, who: &Who, change: Change) -> Result<(), DbErr> {
    record_many(platform, tx, who, vec![change]).await
}

/// Tells several changes of one request.
///
/// # Errors
/// The database.
pub async fn record_many(
    platform: &Platform,
    tx: &WriteTx,
    who: &Who,
    changes: Vec<Change>,
) -> Result<(), DbErr> {
    let at = platform.clock.now_ms();
    let entries: Vec<AuditRecorded> = changes
        .into_iter()
        .map(|change| AuditRecorded {
            actor: who.actor.clone(),
            action: change.action.into(),
            target: change.target.into(),
            target_id: change.target_id,
            before: change.before,
            after: change.after,
            request_id: who.request_id.clone(),
            ip: who.ip.clone(),
            at,
        })
        .collect();
    let items: Vec<_> = entries.iter().map(|entry| (entry.target_id.clone(), entry)).collect();
    platform.outbox.append_many(tx, &items).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_stays_small_whatever_was_changed() {
        let view = json!({
            "intro": "长".repeat(100_000), "list": vec![1; 10_000], "deep": [{"text": "x".repeat(5_000)}],
            "short": "as it is", "number": 7,
        });
        let change = Change::new("report.modify", "report", 1).before(&view).after(&view);
        assert_eq!(change.before["intro"].as_str().map(|t| t.chars().count()), Some(MAX_TEXT + 1));
        assert_eq!(change.before["list"].as_array().map(Vec::len), Some(MAX_LIST + 1));
        assert_eq!(change.before["list"][MAX_LIST], "… +9800");
        assert_eq!(change.after["deep"][0]["text"].as_str().map(str::len), Some(MAX_TEXT + "…".len()));
        assert_eq!((&change.after["short"], &change.after["number"]), (&json!("as it is"), &json!(7)));
    }
}

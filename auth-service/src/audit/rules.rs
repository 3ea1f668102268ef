//! What an entry is made of, and where a page of entries ends. Pure.

use contracts::events::AuditRecorded;
use platform::audit::{Change, Who};

use crate::entities::audit_entry::Model;

/// The entry of a change of this service.
pub fn entry(id: i64, at: i64, who: Who, change: Change) -> Model {
    Model {
        id,
        at,
        actor_kind: who.actor.kind.as_str().into(),
        actor_id: who.actor.id,
        actor_name: who.actor.name,
        action: change.action.into(),
        target: change.target.into(),
        target_id: change.target_id,
        before_json: change.before.to_string(),
        after_json: change.after.to_string(),
        request_id: who.request_id,
        ip: who.ip,
    }
}

/// The entry of a change another service told.
pub fn told(id: i64, event: AuditRecorded) -> Model {
    Model {
        id,
        at: event.at,
        actor_kind: event.actor.kind.as_str().into(),
        actor_id: event.actor.id,
        actor_name: event.actor.name,
        action: event.action,
        target: event.target,
        target_id: event.target_id,
        before_json: event.before.to_string(),
        after_json: event.after.to_string(),
        request_id: event.request_id,
        ip: event.ip,
    }
}

/// The place of an entry in the list: when it happened, then its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: i64,
    pub id: i64,
}

impl Cursor {
    /// As callers carry it.
    pub fn text(self) -> String {
        format!("{}-{}", self.at, self.id)
    }

    /// What [`Self::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('-')?;
        let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
        Some(Self { at: number(at)?, id: number(id)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor = Cursor { at: 1_795_000_000_000, id: 372_819_273_645_058 };
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        for text in ["", "1", "-", "1-", "-1", "a-1", "1-1-1", "+1-1", "1-99999999999999999999"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}

//! What sync-service tells of an order's callbacks when order-service shows the order's timeline (ADR 0009).

use std::{future::Future, pin::Pin};

use serde::{Deserialize, Serialize};

/// Entries of one answer at the most.
pub const MOST_ENTRIES: u64 = 1_001;

/// The place of an entry in its order's column of time. The default is before all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallbackPlace {
    /// Unix milliseconds.
    pub at: i64,
    /// Tells apart those of one millisecond; no two entries have the same.
    pub id: i64,
}

/// One thing that happened on the way of a change to a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackEntry {
    #[serde(flatten)]
    pub place: CallbackPlace,
    /// The change of the order.
    pub order_seq: i64,
    pub subscription_id: i64,
    pub delivery_id: i64,
    /// The event, also the `webhook-id`.
    pub event_id: String,
    #[serde(flatten)]
    pub step: CallbackStep,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallbackStep {
    /// The change came in and was queued for the subscription.
    Message {
        /// Where it stands now: `waiting`, `delivered`, `parked`, `superseded`, `cancelled`.
        status: String,
    },
    /// A request to the receiver; its place is when it was begun.
    Attempt {
        /// From 1; from 1 again after somebody had it sent again.
        #[serde(rename = "try")]
        try_no: i32,
        duration_ms: i64,
        /// 0 = no answer.
        http_status: i32,
        acknowledged: bool,
        /// Why it was not acknowledged.
        error: String,
        /// Unix milliseconds, 0 = not by itself.
        next_attempt_at: i64,
    },
}

/// Why the callbacks of an order could not be had.
#[derive(Debug, thiserror::Error)]
#[error("sync-service did not answer with the callbacks: {0}")]
pub struct CallbacksUnavailable(pub String);

pub type CallbackAnswer<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<CallbackEntry>, CallbacksUnavailable>> + Send + 'a>>;

/// order-service's one question to another service: local in the all-in-one, HTTP between processes.
pub trait CallbackLog: Send + Sync {
    /// The entries of an order behind `after`, by place, at most `limit` (and [`MOST_ENTRIES`]); none of an order
    /// that sync-service does not know.
    fn of_order<'a>(&'a self, number: &'a str, after: CallbackPlace, limit: u64) -> CallbackAnswer<'a>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_read_back_what_was_written() {
        let place = CallbackPlace { at: 1_795_000_000_000, id: 372_819_273_645_058 };
        let step = CallbackStep::Attempt {
            try_no: 2,
            duration_ms: 31,
            http_status: 500,
            acknowledged: false,
            error: "HTTP 500".into(),
            next_attempt_at: 1_795_000_030_000,
        };
        let (subscription_id, delivery_id) = (4, 5);
        let entry = CallbackEntry {
            place,
            order_seq: 3,
            subscription_id,
            delivery_id,
            event_id: "evt_1".into(),
            step,
        };
        let wire = serde_json::to_value(&entry).expect("plain data");
        let expected = json!({
            "at": 1_795_000_000_000_i64, "id": 372_819_273_645_058_i64, "order_seq": 3, "subscription_id": 4,
            "delivery_id": 5, "event_id": "evt_1", "kind": "attempt", "try": 2, "duration_ms": 31, "http_status": 500,
            "acknowledged": false, "error": "HTTP 500", "next_attempt_at": 1_795_000_030_000_i64,
        });
        assert_eq!(wire, expected);
        assert_eq!(serde_json::from_value::<CallbackEntry>(wire).expect("what was written"), entry);
    }
}

use serde::{Deserialize, Serialize};

use crate::event::Payload;

/// A customer was made or changed: by hand, by an order, by a white-list entry. Readings are told by
/// `reading.used` alone, so none of those follows from one. Times are unix milliseconds, 0 = never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerChanged {
    pub id: i64,
    /// 1 when made, rises with every change; a reader keeps the highest it has seen.
    pub version: i64,
    /// Normalised; it never changes.
    pub mobile: String,
    pub nick_name: String,
    pub avatar: String,
    pub regist_at: i64,
    pub last_login_at: i64,
    /// As known when this was told; a reader keeps the latest.
    pub last_review_at: i64,
}

/// Many customers were made or changed at once (an import of a white list): one event instead of thousands.
/// Each customer means what it means alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerBatchChanged {
    /// At most 500.
    pub customers: Vec<CustomerChanged>,
}

impl Payload for CustomerChanged {
    const TYPE: &'static str = "customer.changed";
    const VERSION: u32 = 1;
}

impl Payload for CustomerBatchChanged {
    const TYPE: &'static str = "customer.batch_changed";
    const VERSION: u32 = 1;
}

use serde::{Deserialize, Serialize};

use crate::event::Payload;

/// A report was added, changed, published, withdrawn or deleted; goods of order-service keep in step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportChanged {
    pub id: i64,
    /// Rises by one with every change; a reader keeps the highest it has seen.
    pub version: i64,
    pub title: String,
    /// Public URL.
    pub cover: String,
    pub price_fen: i64,
    /// Readings an order of size 1 grants.
    pub read_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    pub status: i16,
    pub deleted: bool,
}

/// A white-list entry was added, changed, used or removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhitelistChanged {
    pub id: i64,
    /// 1 when made, rises by one with every change; a reader keeps the highest it has seen.
    pub version: i64,
    pub report_id: i64,
    pub given_user: String,
    pub mobile: String,
    pub read_count: i64,
    pub residue_count: i64,
    /// 0 enabled, 1 disabled.
    pub state: i16,
    pub deleted: bool,
    /// When the entry was made, unix milliseconds.
    pub created_at: i64,
}

/// Many white-list entries changed at once (an import, its undo): one event instead of thousands. Each entry
/// means what it means alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhitelistBatchChanged {
    /// At most 500, all of one report.
    pub entries: Vec<WhitelistChanged>,
}

impl Payload for ReportChanged {
    const TYPE: &'static str = "report.changed";
    const VERSION: u32 = 1;
}

impl Payload for WhitelistChanged {
    const TYPE: &'static str = "whitelist.changed";
    const VERSION: u32 = 1;
}

impl Payload for WhitelistBatchChanged {
    const TYPE: &'static str = "whitelist.batch_changed";
    const VERSION: u32 = 1;
}

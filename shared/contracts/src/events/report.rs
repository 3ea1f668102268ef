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
/// means what it means alone; on the wire it is a list of its values without their names, a third of the bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhitelistBatchChanged {
    /// At most 500, all of one report.
    #[serde(rename = "rows", with = "rows")]
    pub entries: Vec<WhitelistChanged>,
}

/// `[id, version, report_id, given_user, mobile, read_count, residue_count, state, deleted, created_at]`
mod rows {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::WhitelistChanged;

    type Row<'a> = (i64, i64, i64, Cow<'a, str>, Cow<'a, str>, i64, i64, i16, bool, i64);

    pub fn serialize<S: Serializer>(entries: &[WhitelistChanged], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(entries.iter().map(|e| -> Row<'_> {
            let (given_user, mobile) = (Cow::from(&e.given_user), Cow::from(&e.mobile));
            let counts = (e.read_count, e.residue_count);
            (
                e.id,
                e.version,
                e.report_id,
                given_user,
                mobile,
                counts.0,
                counts.1,
                e.state,
                e.deleted,
                e.created_at,
            )
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<WhitelistChanged>, D::Error> {
        let rows = Vec::<Row<'static>>::deserialize(deserializer)?;
        let entry = |row: Row<'static>| WhitelistChanged {
            id: row.0,
            version: row.1,
            report_id: row.2,
            given_user: row.3.into_owned(),
            mobile: row.4.into_owned(),
            read_count: row.5,
            residue_count: row.6,
            state: row.7,
            deleted: row.8,
            created_at: row.9,
        };
        Ok(rows.into_iter().map(entry).collect())
    }
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

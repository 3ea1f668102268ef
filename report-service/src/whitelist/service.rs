//! The use-cases that write the white list.

use contracts::events::WhitelistChanged;
use platform::{Platform, db::WriteTx};
use sea_orm::DbErr;

use super::{
    rules::NewEntry,
    store::{self, Origin, Row},
};

/// Adds entries to a report in the caller's transaction; answers their ids in order.
pub async fn add(
    platform: &Platform,
    tx: &WriteTx,
    origin: Origin<'_>,
    entries: &[NewEntry],
) -> Result<Vec<i64>, DbErr> {
    let ids = platform.ids.batch(entries.len());
    let rows: Vec<Row<'_>> = ids.iter().zip(entries).map(|(id, e)| row(*id, e)).collect();
    store::insert(tx, origin, &rows).await?;
    let changes: Vec<WhitelistChanged> = rows.iter().map(|r| added(origin, r)).collect();
    let items: Vec<_> = changes.iter().map(|c| (c.id.to_string(), c)).collect();
    platform.outbox.append_many(tx, &items).await?;
    Ok(ids)
}

fn row(id: i64, entry: &NewEntry) -> Row<'_> {
    Row {
        id,
        given_user: &entry.given_user,
        given_position: &entry.given_position,
        given_company: &entry.given_company,
        mobile: &entry.mobile,
        read_count: entry.read_count,
        state: entry.state,
    }
}

fn added(origin: Origin<'_>, row: &Row<'_>) -> WhitelistChanged {
    WhitelistChanged {
        id: row.id,
        version: 1,
        report_id: origin.report_id,
        given_user: row.given_user.to_owned(),
        mobile: row.mobile.to_owned(),
        read_count: row.read_count,
        residue_count: row.read_count,
        state: row.state,
        deleted: false,
        created_at: origin.now_ms,
    }
}

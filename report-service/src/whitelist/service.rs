//! The use-cases that write the white list.

use std::collections::HashMap;

use contracts::events::{WhitelistBatchChanged, WhitelistChanged};
use platform::{
    Platform,
    audit::{self, Change},
    db::WriteTx,
    http::ApiError,
};
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    http::EntryInfo,
    rules::{self, EntryChange, NewEntry},
    store::{self, Origin, Row, Turn},
};
use crate::entities::white_list_entry::Model;

/// Up to so many changes are told one by one; more go as batches.
const TOLD_SINGLY: usize = 20;
/// What the audit calls an entry.
const TARGET: &str = "white_list";
/// Entries of one batch event.
const EVENT_BATCH: usize = 500;

/// Why the white list could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WhitelistError {
    #[error("no such report")]
    NoSuchReport,
    #[error("no such entry")]
    NoSuchEntry,
    /// Row `.0` of a `white_list` names an entry the report does not have.
    #[error("row {0} names no entry of this report")]
    UnknownRow(usize),
    /// Row `.0` of a `white_list` would add an entry and does not say how many readings it grants.
    #[error("row {0} has no read_count")]
    NoReadCount(usize),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<WhitelistError> for ApiError {
    fn from(e: WhitelistError) -> Self {
        match e {
            WhitelistError::NoSuchReport => Self::not_found("报告不存在", "no such report"),
            WhitelistError::NoSuchEntry => Self::not_found("白名单不存在", "no such white-list entry"),
            WhitelistError::UnknownRow(row) => {
                Self::invalid(format!("white_list.{row}.id"), "不属于该报告", "is no entry of this report")
            }
            WhitelistError::NoReadCount(row) => {
                Self::invalid(format!("white_list.{row}.read_count"), "不能为空", "is required")
            }
            WhitelistError::Db(e) => e.into(),
        }
    }
}

/// A row of `white_list` when a report is changed: with `id` it changes that entry, with `mobile` that entry
/// or adds it, with neither it is ignored.
#[derive(Debug, Clone, ToSchema)]
#[schema(as = WhiteListRowChange)]
pub struct RowChange {
    pub id: Option<i64>,
    #[serde(flatten)]
    pub change: EntryChange,
}

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
    announce(platform, tx, rows.iter().map(|r| added(origin, r)).collect()).await?;
    let changes = ids.iter().zip(entries).map(|(id, entry)| {
        Change::new("white_list.add", TARGET, id).after(&Audited::new(origin, EntryInfo::of_new(*id, entry)))
    });
    audit::record_many(platform, tx, origin.who, changes.collect()).await?;
    Ok(ids)
}

/// What [`add_imported`] has added.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    pub count: usize,
    /// Their ids lie between these, both included.
    pub first: i64,
    pub last: i64,
}

/// Adds those entries of an import whose mobile the report does not have yet, none of which stands in `entries` twice;
/// `all` of them when the caller knows that none is there. The import itself is audited, not each of its rows, and it
/// tells of them when it has ended (`workbook::service_tell`).
pub async fn add_imported(
    platform: &Platform,
    tx: &WriteTx,
    origin: Origin<'_>,
    entries: &[NewEntry],
    all: bool,
) -> Result<Added, DbErr> {
    let ids = platform.ids.batch(entries.len());
    let rows: Vec<Row<'_>> = ids.iter().zip(entries).map(|(id, e)| row(*id, e)).collect();
    let count = if all {
        store::insert(tx, origin, &rows).await?;
        rows.len()
    } else {
        usize::try_from(store::insert_fresh(tx, origin, &rows).await?).unwrap_or(usize::MAX)
    };
    let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
    Ok(Added { count, first, last })
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

/// Changes one entry; `Ok` as well when there is nothing to change.
pub async fn change(
    platform: &Platform,
    tx: &WriteTx,
    origin: Origin<'_>,
    id: i64,
    change: EntryChange,
) -> Result<(), WhitelistError> {
    let mut entry =
        store::find_for_update(tx, origin.report_id, id).await?.ok_or(WhitelistError::NoSuchEntry)?;
    let before = entry.clone();
    apply(&mut entry, change);
    if stamp(&mut entry, &before, origin) {
        store::update(tx, origin.report_id, std::slice::from_ref(&entry)).await?;
        announce(platform, tx, vec![changed(&entry, false)]).await?;
        audit::record(platform, tx, origin.who, modified(origin, before, entry)).await?;
    }
    Ok(())
}

/// An entry in the audit: as its detail shows it, and whose it is.
#[derive(Serialize)]
struct Audited {
    report_id: i64,
    #[serde(flatten)]
    entry: EntryInfo,
}

impl Audited {
    fn new(origin: Origin<'_>, entry: impl Into<EntryInfo>) -> Self {
        Self { report_id: origin.report_id, entry: entry.into() }
    }
}

fn modified(origin: Origin<'_>, before: Model, after: Model) -> Change {
    let change = Change::new("white_list.modify", TARGET, after.id);
    change.before(&Audited::new(origin, before)).after(&Audited::new(origin, after))
}

/// Removes one entry.
pub async fn remove(
    platform: &Platform,
    tx: &WriteTx,
    origin: Origin<'_>,
    id: i64,
) -> Result<(), WhitelistError> {
    let mut entry =
        store::find_for_update(tx, origin.report_id, id).await?.ok_or(WhitelistError::NoSuchEntry)?;
    store::delete(tx, origin.report_id, id).await?;
    entry.version += 1;
    announce(platform, tx, vec![changed(&entry, true)]).await?;
    let change = Change::new("white_list.delete", TARGET, id).before(&Audited::new(origin, entry));
    audit::record(platform, tx, origin.who, change).await?;
    Ok(())
}

/// Changes and adds entries as the rows of a report's modification say, in their order, all or nothing: by
/// id, else by mobile (the oldest of several), else added; a row with neither is ignored.
pub async fn change_rows(
    platform: &Platform,
    tx: &WriteTx,
    origin: Origin<'_>,
    rows: Vec<RowChange>,
) -> Result<(), WhitelistError> {
    if rows.is_empty() {
        return Ok(());
    }
    if store::await_turn(tx, origin.report_id).await? == Turn::NoReport {
        return Err(WhitelistError::NoSuchReport);
    }
    let ids: Vec<i64> = rows.iter().filter_map(|r| r.id).collect();
    let mobiles: Vec<&str> =
        rows.iter().filter(|r| r.id.is_none()).filter_map(|r| r.change.mobile.as_deref()).collect();
    let before = store::find_many_for_update(tx, origin.report_id, &ids, &mobiles).await?;
    let mut after = before.clone();
    let new = apply_rows(&mut after, rows)?;
    let (was, dirty): (Vec<Model>, Vec<Model>) = before
        .into_iter()
        .zip(after)
        .filter_map(|(before, mut after)| stamp(&mut after, &before, origin).then_some((before, after)))
        .unzip();
    store::update(tx, origin.report_id, &dirty).await?;
    announce(platform, tx, dirty.iter().map(|e| changed(e, false)).collect()).await?;
    let changes = was.into_iter().zip(dirty).map(|(before, after)| modified(origin, before, after));
    audit::record_many(platform, tx, origin.who, changes.collect()).await?;
    add(platform, tx, origin, &new).await?;
    Ok(())
}

/// Applies the rows to the entries they mean, which come in order of id; answers the entries to add.
fn apply_rows(entries: &mut [Model], rows: Vec<RowChange>) -> Result<Vec<NewEntry>, WhitelistError> {
    let mut by_id: HashMap<i64, usize> = HashMap::with_capacity(entries.len());
    let mut by_mobile: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        by_id.insert(entry.id, at);
        by_mobile.entry(entry.mobile.clone()).or_insert(at);
    }
    let mut new: Vec<NewEntry> = Vec::new();
    let mut new_by_mobile: HashMap<String, usize> = HashMap::new();
    for (n, RowChange { id, change }) in rows.into_iter().enumerate() {
        let known = match (id, change.mobile.as_deref()) {
            (Some(id), _) => Some(*by_id.get(&id).ok_or(WhitelistError::UnknownRow(n))?),
            (None, Some(mobile)) => by_mobile.get(mobile).copied(),
            (None, None) => continue,
        };
        if let Some(entry) = known.and_then(|at| entries.get_mut(at)) {
            apply(entry, change);
            continue;
        }
        let entry = change.into_new().ok_or(WhitelistError::NoReadCount(n))?;
        match new_by_mobile.get(&entry.mobile).and_then(|at| new.get_mut(*at)) {
            Some(earlier) => *earlier = entry,
            None => {
                new_by_mobile.insert(entry.mobile.clone(), new.len());
                new.push(entry);
            }
        }
    }
    Ok(new)
}

fn apply(entry: &mut Model, change: EntryChange) {
    let set = |field: &mut String, value: Option<String>| {
        if let Some(value) = value {
            *field = value;
        }
    };
    set(&mut entry.given_user, change.given_user);
    set(&mut entry.given_position, change.given_position);
    set(&mut entry.given_company, change.given_company);
    set(&mut entry.mobile, change.mobile);
    let counters = (entry.read_count, entry.residue_count);
    (entry.read_count, entry.residue_count) =
        rules::counters(counters, change.read_count, change.residue_count);
    entry.state = change.state.unwrap_or(entry.state);
}

/// Signs a changed entry; false when it is as it was.
fn stamp(entry: &mut Model, before: &Model, origin: Origin<'_>) -> bool {
    if entry == before {
        return false;
    }
    entry.version += 1;
    origin.who.actor.name.clone_into(&mut entry.author);
    entry.updated_at = origin.now_ms;
    true
}

/// The event of an entry as it stands.
pub fn changed(entry: &Model, deleted: bool) -> WhitelistChanged {
    WhitelistChanged {
        id: entry.id,
        version: entry.version,
        report_id: entry.report_id,
        given_user: entry.given_user.clone(),
        mobile: entry.mobile.clone(),
        read_count: entry.read_count,
        residue_count: entry.residue_count,
        state: entry.state,
        deleted,
        created_at: entry.created_at,
    }
}

/// Tells changes of entries in the transaction that made them.
pub async fn announce(
    platform: &Platform,
    tx: &WriteTx,
    changes: Vec<WhitelistChanged>,
) -> Result<(), DbErr> {
    if changes.len() <= TOLD_SINGLY {
        let items: Vec<_> = changes.iter().map(|c| (c.id.to_string(), c)).collect();
        platform.outbox.append_many(tx, &items).await?;
        return Ok(());
    }
    let subject = changes.first().map_or(0, |c| c.report_id).to_string();
    let (mut changes, mut batches) = (changes, Vec::new());
    while !changes.is_empty() {
        let rest = changes.split_off(changes.len().min(EVENT_BATCH));
        batches.push(WhitelistBatchChanged { entries: std::mem::replace(&mut changes, rest) });
    }
    let items: Vec<_> = batches.iter().map(|batch| (subject.clone(), batch)).collect();
    platform.outbox.append_many(tx, &items).await?;
    Ok(())
}

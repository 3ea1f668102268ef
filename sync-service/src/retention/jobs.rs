use platform::{
    db::{
        lease::{self, Holder},
        partitions,
    },
    ids,
    lifecycle::Turn,
};
use sea_orm::DbErr;

use super::store;
use crate::{
    changes::{self, rules::unix_day},
    ctx::Ctx,
    entities::MONTHLY,
    partner_sync::{service::marks_spent_until, store::MarkOf},
};

const DAY_MS: i64 = 86_400_000;
const LEASE_MS: i64 = 10 * 60_000;
const LEASE_NAME: &str = "sync-retention";

/// What one turn forgot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub answers: u64,
    /// Rows; none on PostgreSQL.
    pub deliveries: u64,
    /// Dropped months of deliveries and of attempts, each counted; on PostgreSQL alone.
    pub partitions: u64,
    pub changes: u64,
    pub alerts: u64,
    pub marks: u64,
}

/// Forgets what is due; `Idle` also while another replica does. What ends it is gone on with at the next turn.
///
/// # Errors
/// The database is away.
pub async fn run_once(ctx: &Ctx, holder: &Holder) -> Result<Turn, DbErr> {
    let (db, clock) = (&ctx.platform.db, &ctx.platform.clock);
    if lease::take(db, clock, LEASE_NAME, holder, LEASE_MS).await?.is_none() {
        return Ok(Turn::Idle);
    }
    let forgotten = forget(ctx).await;
    lease::release(db, LEASE_NAME, holder).await?;
    let Forgotten { answers, deliveries, partitions, changes, alerts, marks } = forgotten?;
    let kinds = [
        ("answers", answers),
        ("deliveries", deliveries),
        ("partitions", partitions),
        ("changes", changes),
        ("alerts", alerts),
        ("marks", marks),
    ];
    for (kind, rows) in kinds {
        metrics::counter!("callback_forgotten_total", "kind" => kind).increment(rows);
    }
    Ok(Turn::Idle)
}

/// See [`run_once`]; every step in transactions of a few thousand rows at the most.
///
/// # Errors
/// The database is away.
pub async fn forget(ctx: &Ctx) -> Result<Forgotten, DbErr> {
    let keep = &ctx.platform.settings.callback;
    let now = ctx.platform.clock.now_ms();
    let before = |days: u32| (days > 0).then(|| now - i64::from(days) * DAY_MS);
    let mut forgotten = Forgotten::default();
    if let Some(before) = before(keep.keep_answers_days) {
        forgotten.answers = cut_answers(ctx, ids::floor_at(before) - 1).await?;
    }
    if let Some(before) = before(keep.keep_deliveries_days) {
        if ctx.platform.db.is_postgres() {
            forgotten.partitions = drop_months(ctx, before).await?;
        } else {
            forgotten.deliveries = delete_deliveries(ctx, ids::floor_at(before) - 1).await?;
        }
        forgotten.alerts = delete_alerts(ctx, ids::floor_at(before) - 1).await?;
    }
    if let Some(before) = before(keep.keep_changes_days)
        && let Some(horizon) =
            changes::store::seq_before_day(ctx.platform.db.conn(), unix_day(before)).await?
    {
        forgotten.changes = delete_changes(ctx, horizon).await?;
    }
    forgotten.marks = delete_marks(ctx, marks_spent_until(&ctx.platform.db, now).await?).await?;
    Ok(forgotten)
}

async fn cut_answers(ctx: &Ctx, until: i64) -> Result<u64, DbErr> {
    let db = &ctx.platform.db;
    let (mut after, mut cut) = (store::answers_cut_until(db).await?, 0);
    while let Some(last) = store::stretch(db, ("delivery", "id"), after, until).await? {
        let tx = db.write_tx_unhurried().await?;
        cut += store::cut_answers(&tx, after, last).await?;
        store::note_answers_cut(&tx, last).await?;
        tx.commit().await?;
        after = last;
    }
    Ok(cut)
}

/// Drops what is older than `before` (unix ms), by whole months: a month of millions of rows goes in milliseconds and
/// leaves nothing to be vacuumed.
async fn drop_months(ctx: &Ctx, before: i64) -> Result<u64, DbErr> {
    let dropped = partitions::drop_before(&ctx.platform.db, &MONTHLY, before).await?;
    delete_batches(ctx, partitions::first_id_of_month(before) - 1).await?;
    Ok(dropped.len() as u64)
}

async fn delete_deliveries(ctx: &Ctx, until: i64) -> Result<u64, DbErr> {
    let db = &ctx.platform.db;
    let (mut after, mut deleted) = (0, 0);
    while let Some(last) = store::stretch(db, ("delivery", "id"), after, until).await? {
        let tx = db.write_tx_unhurried().await?;
        deleted += store::delete_deliveries(&tx, after, last).await?;
        tx.commit().await?;
        after = last;
    }
    delete_batches(ctx, until).await?;
    Ok(deleted)
}

/// Deletes the pushed batches up to this id whose deliveries are gone; they are few beside the deliveries.
async fn delete_batches(ctx: &Ctx, until: i64) -> Result<(), DbErr> {
    let db = &ctx.platform.db;
    let mut after = 0;
    while let Some(last) = store::stretch(db, ("push_batch", "id"), after, until).await? {
        let tx = db.write_tx_unhurried().await?;
        store::delete_batches(&tx, after, last).await?;
        tx.commit().await?;
        after = last;
    }
    Ok(())
}

async fn delete_alerts(ctx: &Ctx, until: i64) -> Result<u64, DbErr> {
    let mut deleted = 0;
    loop {
        let tx = ctx.platform.db.write_tx_unhurried().await?;
        let rows = store::delete_alerts(&tx, until).await?;
        tx.commit().await?;
        deleted += rows;
        if rows == 0 {
            return Ok(deleted);
        }
    }
}

async fn delete_changes(ctx: &Ctx, horizon: i64) -> Result<u64, DbErr> {
    let db = &ctx.platform.db;
    let (mut after, mut deleted) = (0, 0);
    while let Some(last) = store::stretch(db, ("order_change", "seq"), after, horizon).await? {
        let tx = db.write_tx_unhurried().await?;
        deleted += store::delete_changes(&tx, after, last, horizon).await?;
        tx.commit().await?;
        after = last;
    }
    Ok(deleted)
}

async fn delete_marks(ctx: &Ctx, spent: i64) -> Result<u64, DbErr> {
    let db = &ctx.platform.db;
    let mut after = MarkOf { key_id: i64::MIN, channel: 0, source: 0, url_sha256: String::new() };
    let mut deleted = 0;
    while let Some(last) = store::marks_ahead(db, &after).await? {
        let tx = db.write_tx_unhurried().await?;
        deleted += store::delete_marks(&tx, &after, &last, spent).await?;
        tx.commit().await?;
        after = last;
    }
    Ok(deleted)
}

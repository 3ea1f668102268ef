//! What became of attempts.

use std::collections::HashSet;

use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use serde::Serialize;

use super::{super::rules::state, QUEUE_COLUMNS, QueueRow};
use crate::sql::{self, Column, Write};

/// A lease as proof of who may record a result.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Held {
    pub delivery_id: i64,
    pub lease: i64,
}

const HELD: &[Column] = &[("delivery_id", "bigint"), ("lease", "bigint")];

/// Locks the rows that are still held under these leases and answers which they are.
pub async fn lock_held(tx: &WriteTx, held: &[Held]) -> Result<HashSet<i64>, DbErr> {
    let backend = tx.get_database_backend();
    let lock = if backend == DbBackend::Postgres { "FOR UPDATE OF q" } else { "" };
    let sql = format!(
        "SELECT q.delivery_id FROM {} JOIN delivery_queue q ON q.delivery_id = h.delivery_id AND q.lease = h.lease
        ORDER BY q.delivery_id {lock}",
        sql::source(backend, 1, "h", HELD)
    );
    let rows = sql::query(tx, sql, vec![sql::param(held)?]).await?;
    rows.iter().map(|row| row.try_get("", "delivery_id")).collect()
}

/// Gives leases back unused: the rows are due at once.
pub async fn release(tx: &WriteTx, held: &[Held], now: i64) -> Result<(), DbErr> {
    let from = sql::source(tx.get_database_backend(), 1, "h", HELD);
    let sql = format!(
        "UPDATE delivery_queue SET lease = 0, next_attempt_at = $2 FROM {from}
        WHERE delivery_queue.delivery_id = h.delivery_id AND delivery_queue.lease = h.lease"
    );
    sql::execute(tx, sql, vec![sql::param(held)?, now.into()]).await.map(|_| ())
}

/// Ends every lease.
pub async fn release_all(tx: &WriteTx, now: i64) -> Result<(), DbErr> {
    let sql = "UPDATE delivery_queue SET lease = 0, next_attempt_at = $1 WHERE lease <> 0";
    sql::execute(tx, sql, vec![now.into()]).await.map(|_| ())
}

/// A row of `delivery_attempt`.
#[derive(Debug, Serialize)]
pub struct NewAttempt<'a> {
    pub delivery_id: i64,
    pub id: i64,
    pub try_no: i32,
    pub started_at: i64,
    pub duration_ms: i64,
    pub http_status: i32,
    pub acknowledged: bool,
    pub error: &'a str,
    pub answer: &'a str,
    pub url: &'a str,
    pub signature: &'a str,
    pub sign: &'a str,
    pub next_attempt_at: i64,
}

const ATTEMPT: &[Column] = &[
    ("delivery_id", "bigint"),
    ("id", "bigint"),
    ("try_no", "integer"),
    ("started_at", "bigint"),
    ("duration_ms", "bigint"),
    ("http_status", "integer"),
    ("acknowledged", "boolean"),
    ("error", "text"),
    ("answer", "text"),
    ("url", "text"),
    ("signature", "text"),
    ("sign", "text"),
    ("next_attempt_at", "bigint"),
];

/// Appends attempts; one that a repeated try of this statement wrote already stays.
pub fn new_attempts(backend: DbBackend, attempts: &[NewAttempt<'_>]) -> Result<Option<Write>, DbErr> {
    Write::insert(backend, "delivery_attempt", ATTEMPT, attempts, "ON CONFLICT DO NOTHING")
}

/// What an attempt changes in `delivery`.
#[derive(Debug, Serialize)]
pub struct Progress<'a> {
    pub id: i64,
    pub status: i16,
    pub tries: i32,
    pub last_status: i32,
    pub last_error: &'a str,
    pub finished_at: i64,
}

const PROGRESS: &[Column] = &[
    ("id", "bigint"),
    ("status", "smallint"),
    ("tries", "integer"),
    ("last_status", "integer"),
    ("last_error", "text"),
    ("finished_at", "bigint"),
];

/// Each row is sought by its id in its month. Bounds of the ids would leave out the other months when it is planned, but
/// PostgreSQL then takes what lies between them for few and compares all of it with every row.
pub fn progress(backend: DbBackend, rows: &[Progress<'_>]) -> Result<Option<Write>, DbErr> {
    if rows.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "UPDATE delivery SET status = r.status, tries = r.tries, last_status = r.last_status,
            last_error = r.last_error, finished_at = r.finished_at
        FROM {} WHERE delivery.id = r.id",
        sql::source(backend, 1, "r", PROGRESS)
    );
    Ok(Some(Write::new(sql, vec![sql::param(rows)?])))
}

/// A queue row that stays: to be tried again, or parked.
#[derive(Debug, Serialize)]
pub struct Requeued {
    pub delivery_id: i64,
    pub state: i16,
    pub next_attempt_at: i64,
    pub tries: i32,
}

const REQUEUED: &[Column] =
    &[("delivery_id", "bigint"), ("state", "smallint"), ("next_attempt_at", "bigint"), ("tries", "integer")];

pub fn requeue(backend: DbBackend, rows: &[Requeued]) -> Result<Option<Write>, DbErr> {
    if rows.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "UPDATE delivery_queue SET state = r.state, next_attempt_at = r.next_attempt_at, tries = r.tries, lease = 0
        FROM {} WHERE delivery_queue.delivery_id = r.delivery_id",
        sql::source(backend, 1, "r", REQUEUED)
    );
    Ok(Some(Write::new(sql, vec![sql::param(rows)?])))
}

/// An order whose front delivery to a subscription is finished; the next one gets this lease.
#[derive(Debug, Serialize)]
pub struct Vacated {
    pub subscription_id: i64,
    pub order_id: i64,
    /// 0 = it is left for whoever claims it.
    pub lease: i64,
    pub next_attempt_at: i64,
}

const VACATED: &[Column] = &[
    ("subscription_id", "bigint"),
    ("order_id", "bigint"),
    ("lease", "bigint"),
    ("next_attempt_at", "bigint"),
];

/// Makes the lowest `order_seq` left of each order ready, and answers those rows.
pub async fn promote(tx: &WriteTx, vacated: &[Vacated]) -> Result<Vec<QueueRow>, DbErr> {
    if vacated.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "UPDATE delivery_queue SET state = {ready}, lease = r.lease, next_attempt_at = r.next_attempt_at
        FROM {from}
        WHERE delivery_queue.order_id = r.order_id AND delivery_queue.subscription_id = r.subscription_id
            AND delivery_queue.state = {blocked}
            AND NOT EXISTS (SELECT 1 FROM delivery_queue e
                WHERE e.order_id = r.order_id AND e.subscription_id = r.subscription_id
                AND (e.state = {ready} OR e.state = {blocked} AND e.order_seq < delivery_queue.order_seq))
        RETURNING {QUEUE_COLUMNS}",
        ready = state::READY,
        blocked = state::BLOCKED,
        from = sql::source(tx.get_database_backend(), 1, "r", VACATED)
    );
    let rows = sql::query(tx, sql, vec![sql::param(vacated)?]).await?;
    rows.iter().map(QueueRow::read).collect()
}

/// Writes until when the breaker of a subscription keeps deliveries back (0 = it closed).
pub async fn save_breaker(tx: &WriteTx, subscription_id: i64, open_until: i64) -> Result<(), DbErr> {
    let sql = "UPDATE subscription SET open_until = $2 WHERE id = $1";
    sql::execute(tx, sql, vec![subscription_id.into(), open_until.into()]).await.map(|_| ())
}

//! The statements of the delivery engine; each takes a whole batch.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use platform::db::{Db, WriteTx};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};
use serde::Serialize;

use super::{
    intake::Wanted,
    lane::Job,
    rules::{Status, state},
    sender::Bodies,
};
use crate::batch::{self, Column};

/// A new row of `delivery`.
#[derive(Debug, Serialize)]
pub struct NewDelivery {
    id: i64,
    subscription_id: i64,
    partner_id: i64,
    change_seq: i64,
    status: i16,
    tries: i32,
    last_status: i32,
    last_error: &'static str,
    finished_at: i64,
}

impl NewDelivery {
    pub fn waiting(id: i64, w: &Wanted) -> Self {
        Self {
            id,
            subscription_id: w.subscription_id,
            partner_id: w.partner_id,
            change_seq: w.change_seq,
            status: Status::Waiting as i16,
            tries: 0,
            last_status: 0,
            last_error: "",
            finished_at: 0,
        }
    }

    pub fn superseded(id: i64, w: &Wanted, now: i64) -> Self {
        Self { status: Status::Superseded as i16, finished_at: now, ..Self::waiting(id, w) }
    }
}

const DELIVERY: &[Column] = &[
    ("id", "bigint"),
    ("subscription_id", "bigint"),
    ("partner_id", "bigint"),
    ("change_seq", "bigint"),
    ("status", "smallint"),
    ("tries", "integer"),
    ("last_status", "integer"),
    ("last_error", "text"),
    ("finished_at", "bigint"),
];

/// A row of `delivery_queue`.
#[derive(Debug, Clone, Serialize)]
pub struct QueueRow {
    pub delivery_id: i64,
    pub subscription_id: i64,
    pub change_seq: i64,
    pub order_id: i64,
    pub order_seq: i64,
    pub state: i16,
    pub next_attempt_at: i64,
    /// 0 = nobody's.
    pub lease: i64,
    pub tries: i32,
}

const QUEUE: &[Column] = &[
    ("delivery_id", "bigint"),
    ("subscription_id", "bigint"),
    ("change_seq", "bigint"),
    ("order_id", "bigint"),
    ("order_seq", "bigint"),
    ("state", "smallint"),
    ("next_attempt_at", "bigint"),
    ("lease", "bigint"),
    ("tries", "integer"),
];

/// Columns of [`QueueRow::read`].
const QUEUE_COLUMNS: &str =
    "delivery_queue.delivery_id, delivery_queue.subscription_id, delivery_queue.change_seq,
    delivery_queue.order_id, delivery_queue.order_seq, delivery_queue.state, delivery_queue.next_attempt_at,
    delivery_queue.lease, delivery_queue.tries";

impl QueueRow {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            delivery_id: row.try_get("", "delivery_id")?,
            subscription_id: row.try_get("", "subscription_id")?,
            change_seq: row.try_get("", "change_seq")?,
            order_id: row.try_get("", "order_id")?,
            order_seq: row.try_get("", "order_seq")?,
            state: row.try_get("", "state")?,
            next_attempt_at: row.try_get("", "next_attempt_at")?,
            lease: row.try_get("", "lease")?,
            tries: row.try_get("", "tries")?,
        })
    }

    /// The row as the sender holds it, once it is leased.
    pub fn job(&self, bodies: Arc<Bodies>) -> Job {
        Job {
            delivery_id: self.delivery_id,
            subscription_id: self.subscription_id,
            change_seq: self.change_seq,
            order_id: self.order_id,
            tries: self.tries,
            lease: self.lease,
            leased_until: self.next_attempt_at,
            bodies,
        }
    }
}

/// A delivery that is neither acknowledged nor given up.
#[derive(Debug, Clone, Copy)]
pub struct Unfinished {
    pub delivery_id: i64,
    pub subscription_id: i64,
    pub order_id: i64,
    pub order_seq: i64,
    pub lease: i64,
}

#[derive(Serialize)]
struct Line {
    subscription_id: i64,
    order_id: i64,
}

const LINE: &[Column] = &[("subscription_id", "bigint"), ("order_id", "bigint")];

/// What is unfinished of these (subscription, order) pairs, locked: whoever wants to finish one of them waits
/// until our new rows are there to be made ready.
pub async fn lock_unfinished(tx: &WriteTx, lines: &HashSet<(i64, i64)>) -> Result<Vec<Unfinished>, DbErr> {
    let lines: Vec<Line> = lines
        .iter()
        .map(|(subscription_id, order_id)| Line { subscription_id: *subscription_id, order_id: *order_id })
        .collect();
    let backend = tx.get_database_backend();
    let lock = if backend == DbBackend::Postgres { "FOR UPDATE OF q" } else { "" };
    let sql = format!(
        "SELECT q.delivery_id, q.subscription_id, q.order_id, q.order_seq, q.lease
        FROM {} JOIN delivery_queue q ON q.order_id = l.order_id AND q.subscription_id = l.subscription_id
        WHERE q.state IN (0, 1) ORDER BY q.delivery_id {lock}",
        batch::source(backend, 1, "l", LINE)
    );
    let rows = batch::query(tx, sql, vec![batch::param(&lines)?]).await?;
    rows.iter()
        .map(|row| {
            Ok(Unfinished {
                delivery_id: row.try_get("", "delivery_id")?,
                subscription_id: row.try_get("", "subscription_id")?,
                order_id: row.try_get("", "order_id")?,
                order_seq: row.try_get("", "order_seq")?,
                lease: row.try_get("", "lease")?,
            })
        })
        .collect()
}

pub async fn insert(tx: &WriteTx, deliveries: &[NewDelivery], queue: &[QueueRow]) -> Result<(), DbErr> {
    batch::insert(tx, "delivery", DELIVERY, deliveries, "").await?;
    batch::insert(tx, "delivery_queue", QUEUE, queue, "").await.map(|_| ())
}

/// Takes these out of the queue because a newer state goes instead.
pub async fn supersede(tx: &WriteTx, ids: &[i64], now: i64) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let from = batch::integers(tx.get_database_backend(), 1, "r");
    let sql =
        format!("UPDATE delivery SET status = $2, finished_at = $3 FROM {from} WHERE delivery.id = r.v");
    let values = vec![batch::ones(ids)?, (Status::Superseded as i16).into(), now.into()];
    batch::execute(tx, sql, values).await?;
    unqueue(tx, ids).await
}

/// Deletes queue rows.
pub async fn unqueue(tx: &WriteTx, ids: &[i64]) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let from = batch::integers(tx.get_database_backend(), 1, "r");
    let sql = format!("DELETE FROM delivery_queue WHERE delivery_id IN (SELECT r.v FROM {from})");
    batch::execute(tx, sql, vec![batch::ones(ids)?]).await.map(|_| ())
}

/// How many jobs of a subscription are wanted.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Want {
    pub subscription_id: i64,
    pub room: i64,
}

/// Leases what is due, at most `room` for each subscription, oldest first. Rows another is at work on are passed
/// over.
pub async fn claim(
    tx: &WriteTx,
    wants: &[Want],
    now: i64,
    until: i64,
    lease: i64,
) -> Result<Vec<QueueRow>, DbErr> {
    let due = match tx.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT d.delivery_id FROM json_to_recordset($1::json) AS w(subscription_id bigint, room bigint),
            LATERAL (SELECT q.delivery_id FROM delivery_queue q
                WHERE q.subscription_id = w.subscription_id AND q.state = 1 AND q.next_attempt_at <= $2
                ORDER BY q.next_attempt_at LIMIT w.room FOR UPDATE SKIP LOCKED) AS d"
        }
        // SQLite has no LATERAL; its queues are those of one machine.
        _ => {
            "SELECT ranked.delivery_id FROM (SELECT q.delivery_id, json_extract(w.value, '$.room') AS room,
                row_number() OVER (PARTITION BY q.subscription_id ORDER BY q.next_attempt_at) AS place
                FROM json_each($1) AS w JOIN delivery_queue q
                ON q.subscription_id = json_extract(w.value, '$.subscription_id')
                WHERE q.state = 1 AND q.next_attempt_at <= $2) AS ranked WHERE ranked.place <= ranked.room"
        }
    };
    let sql = format!(
        "UPDATE delivery_queue SET next_attempt_at = $3, lease = $4
        WHERE delivery_id IN ({due}) RETURNING {QUEUE_COLUMNS}"
    );
    let values = vec![batch::param(wants)?, now.into(), until.into(), lease.into()];
    let rows = batch::query(tx, sql, values).await?;
    rows.iter().map(QueueRow::read).collect()
}

/// When the next row of each active subscription comes due (unix ms).
pub async fn next_due(db: &Db) -> Result<Vec<(i64, i64)>, DbErr> {
    let sql = "SELECT due.id, due.at FROM (SELECT s.id AS id, (SELECT q.next_attempt_at FROM delivery_queue q
            WHERE q.subscription_id = s.id AND q.state = 1 ORDER BY q.next_attempt_at LIMIT 1) AS at
        FROM subscription s WHERE s.deleted_at = 0 AND s.status = 'active') AS due WHERE due.at IS NOT NULL";
    let rows = batch::query(db.conn(), sql, vec![]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "at")?))).collect()
}

/// The bytes of these changes.
pub async fn bodies<C: ConnectionTrait>(
    conn: &C,
    seqs: &HashSet<i64>,
) -> Result<HashMap<i64, Arc<Bodies>>, DbErr> {
    if seqs.is_empty() {
        return Ok(HashMap::new());
    }
    let from = batch::integers(conn.get_database_backend(), 1, "r");
    let sql =
        format!("SELECT c.seq, c.event_id, c.standard, c.gth FROM {from} JOIN order_change c ON c.seq = r.v");
    let rows = batch::query(conn, sql, vec![batch::ones(seqs)?]).await?;
    rows.iter()
        .map(|row| {
            let bodies = Bodies {
                event_id: row.try_get("", "event_id")?,
                standard: row.try_get("", "standard")?,
                gth: row.try_get("", "gth")?,
            };
            Ok((row.try_get("", "seq")?, Arc::new(bodies)))
        })
        .collect()
}

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
        batch::source(backend, 1, "h", HELD)
    );
    let rows = batch::query(tx, sql, vec![batch::param(held)?]).await?;
    rows.iter().map(|row| row.try_get("", "delivery_id")).collect()
}

/// Gives leases back unused: the rows are due at once.
pub async fn release(tx: &WriteTx, held: &[Held], now: i64) -> Result<(), DbErr> {
    let from = batch::source(tx.get_database_backend(), 1, "h", HELD);
    let sql = format!(
        "UPDATE delivery_queue SET lease = 0, next_attempt_at = $2 FROM {from}
        WHERE delivery_queue.delivery_id = h.delivery_id AND delivery_queue.lease = h.lease"
    );
    batch::execute(tx, sql, vec![batch::param(held)?, now.into()]).await.map(|_| ())
}

/// Ends every lease.
pub async fn release_all(tx: &WriteTx, now: i64) -> Result<(), DbErr> {
    let sql = "UPDATE delivery_queue SET lease = 0, next_attempt_at = $1 WHERE lease <> 0";
    batch::execute(tx, sql, vec![now.into()]).await.map(|_| ())
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
pub async fn insert_attempts(tx: &WriteTx, attempts: &[NewAttempt<'_>]) -> Result<(), DbErr> {
    batch::insert(tx, "delivery_attempt", ATTEMPT, attempts, "ON CONFLICT DO NOTHING").await.map(|_| ())
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

pub async fn progress(tx: &WriteTx, rows: &[Progress<'_>]) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE delivery SET status = r.status, tries = r.tries, last_status = r.last_status,
            last_error = r.last_error, finished_at = r.finished_at
        FROM {} WHERE delivery.id = r.id",
        batch::source(tx.get_database_backend(), 1, "r", PROGRESS)
    );
    batch::execute(tx, sql, vec![batch::param(rows)?]).await.map(|_| ())
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

pub async fn requeue(tx: &WriteTx, rows: &[Requeued]) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE delivery_queue SET state = r.state, next_attempt_at = r.next_attempt_at, tries = r.tries, lease = 0
        FROM {} WHERE delivery_queue.delivery_id = r.delivery_id",
        batch::source(tx.get_database_backend(), 1, "r", REQUEUED)
    );
    batch::execute(tx, sql, vec![batch::param(rows)?]).await.map(|_| ())
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
        from = batch::source(tx.get_database_backend(), 1, "r", VACATED)
    );
    let rows = batch::query(tx, sql, vec![batch::param(vacated)?]).await?;
    rows.iter().map(QueueRow::read).collect()
}

/// Writes until when the breaker of a subscription keeps deliveries back (0 = it closed).
pub async fn save_breaker(tx: &WriteTx, subscription_id: i64, open_until: i64) -> Result<(), DbErr> {
    let sql = "UPDATE subscription SET open_until = $2 WHERE id = $1";
    batch::execute(tx, sql, vec![subscription_id.into(), open_until.into()]).await.map(|_| ())
}

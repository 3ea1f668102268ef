//! Rows come into being.

use std::{collections::HashSet, sync::Arc};

use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};
use serde::Serialize;

use super::super::{intake::Wanted, lane::Job, rules::Status, sender::Bodies};
use crate::sql::{self, Column, Write};

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
pub(super) const QUEUE_COLUMNS: &str =
    "delivery_queue.delivery_id, delivery_queue.subscription_id, delivery_queue.change_seq,
    delivery_queue.order_id, delivery_queue.order_seq, delivery_queue.state, delivery_queue.next_attempt_at,
    delivery_queue.lease, delivery_queue.tries";

impl QueueRow {
    pub(super) fn read(row: &QueryResult) -> Result<Self, DbErr> {
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
        sql::source(backend, 1, "l", LINE)
    );
    let rows = sql::query(tx, sql, vec![sql::param(&lines)?]).await?;
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

/// The new rows of `delivery` and `delivery_queue`.
pub fn new_rows(
    backend: DbBackend,
    deliveries: &[NewDelivery],
    queue: &[QueueRow],
) -> Result<[Option<Write>; 2], DbErr> {
    Ok([
        Write::insert(backend, "delivery", DELIVERY, deliveries, "")?,
        Write::insert(backend, "delivery_queue", QUEUE, queue, "")?,
    ])
}

/// Takes these out of the queue because a newer state goes instead.
pub async fn supersede(tx: &WriteTx, ids: &[i64], now: i64) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let (these, values) = sql::one_of(tx.get_database_backend(), 2, "id", ids)?;
    let sql = format!("UPDATE delivery SET status = $1, finished_at = $2 WHERE {these}");
    let values = [vec![(Status::Superseded as i16).into(), now.into()], values].concat();
    let gone = unqueue(tx.get_database_backend(), ids)?;
    sql::together(tx, [Some(Write::new(sql, values)), gone]).await
}

/// Deletes queue rows.
pub fn unqueue(backend: DbBackend, ids: &[i64]) -> Result<Option<Write>, DbErr> {
    if ids.is_empty() {
        return Ok(None);
    }
    let from = sql::integers(backend, 1, "r");
    let sql = format!("DELETE FROM delivery_queue WHERE delivery_id IN (SELECT r.v FROM {from})");
    Ok(Some(Write::new(sql, vec![sql::ones(ids)?])))
}

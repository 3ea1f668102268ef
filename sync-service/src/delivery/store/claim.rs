//! What is due, when, and with which bytes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use platform::db::{Db, WriteTx};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use serde::Serialize;

use super::{super::sender::Bodies, QUEUE_COLUMNS, QueueRow};
use crate::sql;

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
    let values = vec![sql::param(wants)?, now.into(), until.into(), lease.into()];
    let rows = sql::query(tx, sql, values).await?;
    rows.iter().map(QueueRow::read).collect()
}

/// When the next row of each active subscription comes due (unix ms).
pub async fn next_due(db: &Db) -> Result<Vec<(i64, i64)>, DbErr> {
    let sql = "SELECT due.id, due.at FROM (SELECT s.id AS id, (SELECT q.next_attempt_at FROM delivery_queue q
            WHERE q.subscription_id = s.id AND q.state = 1 ORDER BY q.next_attempt_at LIMIT 1) AS at
        FROM subscription s WHERE s.deleted_at = 0 AND s.status = 'active') AS due WHERE due.at IS NOT NULL";
    let rows = sql::query(db.conn(), sql, vec![]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "at")?))).collect()
}

/// The bytes of these changes, and of pushed batches (negative numbers).
pub async fn bodies<C: ConnectionTrait>(
    conn: &C,
    seqs: &HashSet<i64>,
) -> Result<HashMap<i64, Arc<Bodies>>, DbErr> {
    if seqs.is_empty() {
        return Ok(HashMap::new());
    }
    let (changes, pushed): (Vec<i64>, Vec<i64>) = seqs.iter().partition(|seq| **seq > 0);
    let mut rows = Vec::new();
    for (wanted, table) in
        [(changes, "order_change c ON c.seq = r.v"), (pushed, "push_batch c ON c.id = -r.v")]
    {
        if !wanted.is_empty() {
            let from = sql::integers(conn.get_database_backend(), 1, "r");
            let sql = format!(
                "SELECT r.v AS seq, c.event_id, c.standard, c.gth, c.traceparent FROM {from} JOIN {table}"
            );
            rows.extend(sql::query(conn, sql, vec![sql::ones(wanted)?]).await?);
        }
    }
    rows.iter()
        .map(|row| {
            let bodies = Bodies {
                event_id: row.try_get("", "event_id")?,
                standard: row.try_get("", "standard")?,
                gth: row.try_get("", "gth")?,
                traceparent: row.try_get("", "traceparent")?,
            };
            Ok((row.try_get("", "seq")?, Arc::new(bodies)))
        })
        .collect()
}

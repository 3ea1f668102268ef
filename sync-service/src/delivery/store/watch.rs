//! Receivers that fail, and orders that stand still.

use platform::db::{Db, WriteTx};
use sea_orm::DbErr;
use serde::Serialize;

use super::super::rules::state;
use crate::sql::{self, Column};

/// Orders whose rows all stand behind nothing: (subscription, order). There should be none; see `jobs`.
pub async fn orphans(tx: &WriteTx, limit: u64) -> Result<Vec<(i64, i64)>, DbErr> {
    let sql = format!(
        "SELECT DISTINCT q.subscription_id, q.order_id FROM delivery_queue q
        WHERE q.state = {} AND NOT EXISTS (SELECT 1 FROM delivery_queue e
            WHERE e.order_id = q.order_id AND e.subscription_id = q.subscription_id AND e.state = {}) LIMIT {limit}",
        state::BLOCKED,
        state::READY
    );
    let rows = sql::query(tx, sql, vec![]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "subscription_id")?, row.try_get("", "order_id")?))).collect()
}

/// Since when a subscription's receiver acknowledges nothing (unix ms; 0 = it does again).
pub async fn save_health(tx: &WriteTx, subscription_id: i64, failing_since: i64) -> Result<(), DbErr> {
    let sql = if failing_since == 0 {
        "UPDATE subscription SET failing_since = $2, alert_level = 0 WHERE id = $1"
    } else {
        "UPDATE subscription SET failing_since = $2 WHERE id = $1 AND failing_since = 0"
    };
    sql::execute(tx, sql, vec![subscription_id.into(), failing_since.into()]).await.map(|_| ())
}

/// What rows of the queue wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Their turn.
    Waiting,
    /// Somebody to release their subscription.
    Collecting,
    /// Somebody to recover them.
    Parked,
}

/// Unfinished deliveries of a partner.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    pub partner_id: i64,
    pub standing: Standing,
    pub rows: i64,
    /// The id of the oldest.
    pub oldest: i64,
}

/// What is unfinished, by partner. Reads the whole queue: for once a minute.
pub async fn backlog(db: &Db) -> Result<Vec<Backlog>, DbErr> {
    let sql = format!(
        "SELECT w.partner_id, w.standing, count(*) AS n, min(w.delivery_id) AS oldest
        FROM (SELECT s.partner_id, q.delivery_id,
                CASE WHEN q.state = {} THEN 2 WHEN s.status = 'active' THEN 0 ELSE 1 END AS standing
            FROM delivery_queue q JOIN subscription s ON s.id = q.subscription_id) AS w
        GROUP BY w.partner_id, w.standing",
        state::PARKED
    );
    let rows = sql::query(db.conn(), sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            let standing = match row.try_get::<i32>("", "standing")? {
                0 => Standing::Waiting,
                1 => Standing::Collecting,
                _ => Standing::Parked,
            };
            let (partner_id, rows) = (row.try_get("", "partner_id")?, row.try_get("", "n")?);
            Ok(Backlog { partner_id, standing, rows, oldest: row.try_get("", "oldest")? })
        })
        .collect()
}

/// A step of the failure budget that was reached.
#[derive(Debug, Serialize)]
pub struct NewAlert {
    pub id: i64,
    pub partner_id: i64,
    pub subscription_id: i64,
    pub level: i32,
    pub failing_since: i64,
}

const ALERT: &[Column] = &[
    ("id", "bigint"),
    ("partner_id", "bigint"),
    ("subscription_id", "bigint"),
    ("level", "integer"),
    ("failing_since", "bigint"),
];

pub async fn insert_alert(tx: &WriteTx, alert: NewAlert) -> Result<(), DbErr> {
    sql::insert(tx, "callback_alert", ALERT, &[alert], "").await
}

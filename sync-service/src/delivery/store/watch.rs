//! Receivers that fail, and orders that stand still.

use platform::db::WriteTx;
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
    sql::insert(tx, "callback_alert", ALERT, &[alert], "").await.map(|_| ())
}

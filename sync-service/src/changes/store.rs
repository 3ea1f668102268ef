use std::collections::HashSet;

use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;

use crate::batch::{self, Column};

/// A new line of the feed.
#[derive(Debug, Serialize)]
pub struct NewChange {
    pub seq: i64,
    pub event_id: String,
    pub partner_id: i64,
    pub source: i16,
    pub order_id: i64,
    pub number: String,
    pub order_seq: i64,
    pub event: String,
    pub checkout_at: i64,
    pub changed_at: i64,
    pub standard: String,
    pub gth: String,
}

const COLUMNS: &[Column] = &[
    ("seq", "bigint"),
    ("event_id", "text"),
    ("partner_id", "bigint"),
    ("source", "smallint"),
    ("order_id", "bigint"),
    ("number", "text"),
    ("order_seq", "bigint"),
    ("event", "text"),
    ("checkout_at", "bigint"),
    ("changed_at", "bigint"),
    ("standard", "text"),
    ("gth", "text"),
];

/// The first of `n` fresh sequence numbers. Holds the feed's lock until the transaction ends: that makes the
/// order of numbers the order of commits.
pub async fn take_seqs(tx: &WriteTx, n: usize) -> Result<i64, DbErr> {
    let sql = "UPDATE feed_head SET last_seq = last_seq + $1 WHERE id = 1 RETURNING last_seq";
    let n = i64::try_from(n).map_err(|e| DbErr::Custom(e.to_string()))?;
    let rows = batch::query(tx, sql, vec![n.into()]).await?;
    let row = rows.first().ok_or_else(|| DbErr::Custom("feed_head is empty".into()))?;
    Ok(row.try_get::<i64>("", "last_seq")? - n + 1)
}

/// Which changes of these orders are in the feed already: (number, order_seq).
pub async fn known(tx: &WriteTx, numbers: &[&str]) -> Result<HashSet<(String, i64)>, DbErr> {
    let from = batch::texts(tx.get_database_backend(), 1, "n");
    let sql = format!("SELECT c.number, c.order_seq FROM {from} JOIN order_change c ON c.number = n.v");
    let rows = batch::query(tx, sql, vec![batch::ones(numbers)?]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "number")?, row.try_get("", "order_seq")?))).collect()
}

pub async fn insert(tx: &WriteTx, changes: &[NewChange]) -> Result<(), DbErr> {
    batch::insert(tx, "order_change", COLUMNS, changes, "").await.map(|_| ())
}

//! Deliveries that go again because a person wants it.

use platform::db::{Db, WriteTx};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    super::{
        recovery::Parked,
        rules::{Status, state},
    },
    QueueRow,
};
use crate::sql;

/// A delivery that is to go again.
#[derive(Debug)]
pub struct Again {
    pub delivery_id: i64,
    pub subscription_id: i64,
    pub change_seq: i64,
    pub order_id: i64,
    pub order_seq: i64,
    /// Its state in the queue; `None` = finished.
    pub state: Option<i16>,
    /// As [`Status`].
    pub status: i16,
    pub tries: i32,
}

impl Again {
    /// The row of one that was finished, behind whatever is unfinished of its order.
    pub fn row(&self, now: i64) -> QueueRow {
        QueueRow {
            delivery_id: self.delivery_id,
            subscription_id: self.subscription_id,
            change_seq: self.change_seq,
            order_id: self.order_id,
            order_seq: self.order_seq,
            state: state::BLOCKED,
            next_attempt_at: now,
            lease: 0,
            tries: 0,
        }
    }
}

/// These deliveries as far as they are in `scope` and their subscriptions live.
pub async fn again(tx: &WriteTx, ids: &[i64], scope: Option<i64>) -> Result<Vec<Again>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (these, values) = sql::one_of(tx.get_database_backend(), 1, "d.id", ids)?;
    // A pushed batch stands in the line of its address; see partner_sync.
    let sql = format!(
        "SELECT d.id, d.subscription_id, d.change_seq, COALESCE(c.order_id, -d.subscription_id) AS order_id,
            COALESCE(c.order_seq, -d.change_seq) AS order_seq, q.state,
            d.status, d.tries
        FROM delivery d JOIN subscription s ON s.id = d.subscription_id AND s.deleted_at = 0
        LEFT JOIN order_change c ON c.seq = d.change_seq LEFT JOIN delivery_queue q ON q.delivery_id = d.id
        WHERE ($1 < 0 OR d.partner_id = $1) AND {these}"
    );
    let values = [vec![scope.unwrap_or(-1).into()], values].concat();
    let rows = sql::query(tx, sql, values).await?;
    rows.iter()
        .map(|row| {
            Ok(Again {
                delivery_id: row.try_get("", "id")?,
                subscription_id: row.try_get("", "subscription_id")?,
                change_seq: row.try_get("", "change_seq")?,
                order_id: row.try_get("", "order_id")?,
                order_seq: row.try_get("", "order_seq")?,
                state: row.try_get("", "state")?,
                status: row.try_get("", "status")?,
                tries: row.try_get("", "tries")?,
            })
        })
        .collect()
}

/// The deliveries these changes have to a subscription: (change, delivery). They may be of any month.
pub async fn of_changes(tx: &WriteTx, subscription_id: i64, seqs: &[i64]) -> Result<Vec<(i64, i64)>, DbErr> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let from = sql::integers(tx.get_database_backend(), 1, "r");
    let sql = format!(
        "SELECT d.change_seq, d.id FROM {from} JOIN delivery d ON d.change_seq = r.v AND d.subscription_id = $2"
    );
    let rows = sql::query(tx, sql, vec![sql::ones(seqs)?, subscription_id.into()]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "change_seq")?, row.try_get("", "id")?))).collect()
}

const PARKED: &str = "q.state = 2 AND q.delivery_id >= $1 AND ($2 < 0 OR q.subscription_id = $2)
    AND ($3 < 0 OR s.partner_id = $3)";

fn parked_values(parked: Parked) -> Vec<sea_orm::Value> {
    let any = |id: Option<i64>| id.unwrap_or(-1);
    vec![parked.from_id().into(), any(parked.subscription_id).into(), any(parked.partner_id).into()]
}

/// Parked deliveries, oldest first.
pub async fn parked(tx: &WriteTx, parked: Parked, limit: u64) -> Result<Vec<i64>, DbErr> {
    let sql = format!(
        "SELECT q.delivery_id FROM delivery_queue q
        JOIN subscription s ON s.id = q.subscription_id AND s.deleted_at = 0
        WHERE {PARKED} ORDER BY q.delivery_id LIMIT {limit}"
    );
    let rows = sql::query(tx, sql, parked_values(parked)).await?;
    rows.iter().map(|row| row.try_get("", "delivery_id")).collect()
}

/// How many are parked.
pub async fn count_parked(db: &Db, parked: Parked) -> Result<i64, DbErr> {
    let sql = format!(
        "SELECT count(*) AS n FROM delivery_queue q
        JOIN subscription s ON s.id = q.subscription_id AND s.deleted_at = 0 WHERE {PARKED}"
    );
    let rows = sql::query(db.conn(), sql, parked_values(parked)).await?;
    rows.first().map_or(Ok(0), |row| row.try_get("", "n"))
}

/// Parked rows take their place in their orders again, with a fresh schedule.
pub async fn unpark(tx: &WriteTx, ids: &[i64], now: i64) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let from = sql::integers(tx.get_database_backend(), 1, "r");
    let sql = format!(
        "UPDATE delivery_queue SET state = {}, next_attempt_at = $2, lease = 0, tries = 0
        FROM {from} WHERE delivery_queue.delivery_id = r.v AND delivery_queue.state = {}",
        state::BLOCKED,
        state::PARKED
    );
    sql::execute(tx, sql, vec![sql::ones(ids)?, now.into()]).await.map(|_| ())
}

/// Ready rows that wait for their time are due now.
pub async fn hurry(tx: &WriteTx, ids: &[i64], now: i64) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let from = sql::integers(tx.get_database_backend(), 1, "r");
    let sql = format!(
        "UPDATE delivery_queue SET next_attempt_at = $2
        FROM {from} WHERE delivery_queue.delivery_id = r.v AND delivery_queue.state = {} AND delivery_queue.lease = 0",
        state::READY
    );
    sql::execute(tx, sql, vec![sql::ones(ids)?, now.into()]).await.map(|_| ())
}

/// Deliveries that were finished wait again.
pub async fn reopen(tx: &WriteTx, ids: &[i64]) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let (these, values) = sql::one_of(tx.get_database_backend(), 1, "id", ids)?;
    let sql = format!("UPDATE delivery SET status = $1, finished_at = 0 WHERE {these}");
    let values = [vec![(Status::Waiting as i16).into()], values].concat();
    sql::execute(tx, sql, values).await.map(|_| ())
}

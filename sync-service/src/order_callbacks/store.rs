use contracts::callbacks::{CallbackEntry, CallbackPlace, CallbackStep};
use platform::ids;
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::{delivery::Status, sql};

/// What happened on the way of an order's changes to their subscriptions, behind `after`, by place: each delivery
/// when it was made, and the requests of each. All of it is found by the order's number, so it costs what the order has.
pub async fn log<C: ConnectionTrait>(
    conn: &C,
    number: &str,
    after: CallbackPlace,
    limit: u64,
) -> Result<Vec<CallbackEntry>, DbErr> {
    let made_at = ids::made_at_sql("m.id");
    let sql = format!(
        "WITH message AS (
            SELECT d.id, d.subscription_id, d.status, c.order_seq, c.event_id
            FROM order_change c JOIN delivery d ON d.change_seq = c.seq WHERE c.number = $1)
        SELECT * FROM (
            SELECT {made_at} AS at, m.id AS id, m.id AS delivery_id, m.subscription_id, m.order_seq, m.event_id, m.status,
                0 AS try_no, 0 AS duration_ms, 0 AS http_status, false AS acknowledged, '' AS error, 0 AS next_attempt_at
            FROM message m
            UNION ALL
            SELECT a.started_at, a.id, m.id, m.subscription_id, m.order_seq, m.event_id, m.status,
                a.try_no, a.duration_ms, a.http_status, a.acknowledged, a.error, a.next_attempt_at
            FROM message m JOIN delivery_attempt a ON a.delivery_id = m.id) AS steps
        WHERE (at, id) > ($2, $3) ORDER BY at, id LIMIT {limit}"
    );
    let rows = sql::query(conn, sql, vec![number.into(), after.at.into(), after.id.into()]).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &QueryResult) -> Result<CallbackEntry, DbErr> {
    let (id, delivery_id) = (row.try_get("", "id")?, row.try_get("", "delivery_id")?);
    let step = if id == delivery_id {
        let status = Status::from_number(row.try_get("", "status")?);
        CallbackStep::Message { status: status.word().into() }
    } else {
        CallbackStep::Attempt {
            try_no: row.try_get("", "try_no")?,
            duration_ms: row.try_get("", "duration_ms")?,
            http_status: row.try_get("", "http_status")?,
            acknowledged: row.try_get("", "acknowledged")?,
            error: row.try_get("", "error")?,
            next_attempt_at: row.try_get("", "next_attempt_at")?,
        }
    };
    Ok(CallbackEntry {
        place: CallbackPlace { at: row.try_get("", "at")?, id },
        order_seq: row.try_get("", "order_seq")?,
        subscription_id: row.try_get("", "subscription_id")?,
        delivery_id,
        event_id: row.try_get("", "event_id")?,
        step,
    })
}

use contracts::order_state::FulfilState;
use platform::db;
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};

use crate::wire::Window;

/// What happened on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct DayFigures {
    pub order_count: i64,
    pub paid_count: i64,
    /// Fen.
    pub paid_total: i64,
    /// New customers.
    pub customer_count: i64,
}

/// The figures of each window, in their order: from indexes alone, one statement.
pub(super) async fn figures<C: ConnectionTrait>(
    conn: &C,
    windows: &[Window],
) -> Result<Vec<DayFigures>, DbErr> {
    let rows: Vec<_> = windows
        .iter()
        .enumerate()
        .map(|(n, w)| {
            let (first, below) = w.ids();
            let (placed, _) = w.ids_paid();
            (n, w.from_ms, w.to_ms, first, below, placed)
        })
        .collect();
    let rows = serde_json::to_string(&rows).map_err(|e| DbErr::Custom(e.to_string()))?;
    let (backend, days) = db::dialect(
        conn,
        "SELECT (e->>0)::bigint AS n, (e->>1)::bigint AS from_ms, (e->>2)::bigint AS to_ms, (e->>3)::bigint AS first,
            (e->>4)::bigint AS below, (e->>5)::bigint AS placed FROM json_array_elements($1::json) AS e",
        "SELECT value->>0 AS n, value->>1 AS from_ms, value->>2 AS to_ms, value->>3 AS first, value->>4 AS below,
            value->>5 AS placed FROM json_each($1)",
    );
    let paid = "FROM orders AS o WHERE o.paid_at > 0 AND o.paid_at >= d.from_ms AND o.paid_at < d.to_ms
        AND o.id >= d.placed AND o.id < d.below";
    let sql = format!(
        "SELECT (SELECT count(*) FROM orders AS o WHERE o.id >= d.first AND o.id < d.below) AS order_count,
            (SELECT count(*) {paid}) AS paid_count,
            (SELECT CAST(COALESCE(sum(o.total_fen), 0) AS BIGINT) {paid}) AS paid_total,
            (SELECT count(*) FROM customer AS c WHERE c.id >= d.first AND c.id < d.below) AS customer_count
         FROM ({days}) AS d ORDER BY d.n"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [rows.into()]);
    DayFigures::find_by_statement(statement).all(conn).await
}

/// Customers made before `ms`.
pub(super) async fn customers_before<C: ConnectionTrait>(conn: &C, ms: i64) -> Result<i64, DbErr> {
    let (_, below) = Window { from_ms: 0, to_ms: ms }.ids();
    let sql = "SELECT count(*) AS n FROM customer WHERE id < $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [below.into()]);
    conn.query_one_raw(statement).await?.map_or(Ok(0), |row| row.try_get("", "n"))
}

/// How many orders stand in each of `states`: goods by goods, because `orders_work` leads with them, so that
/// finished orders are never looked at. The states stand in the text, so that the plan knows how few they are.
pub(super) async fn in_work<C: ConnectionTrait>(
    conn: &C,
    states: &[FulfilState],
) -> Result<Vec<(FulfilState, i64)>, DbErr> {
    let counts: Vec<String> = states
        .iter()
        .map(|state| {
            let n = i16::from(*state);
            format!(
                "CAST(COALESCE(sum((SELECT count(*) FROM orders AS o
                    WHERE o.goods_id = g.id AND o.fulfil_state = {n})), 0) AS BIGINT) AS n{n}"
            )
        })
        .collect();
    let sql = format!("SELECT {} FROM goods AS g WHERE g.kind = 'service'", counts.join(", "));
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let Some(row) = row else { return Ok(Vec::new()) };
    states.iter().map(|state| Ok((*state, row.try_get("", &format!("n{}", i16::from(*state)))?))).collect()
}

/// Money that came too late and is not given back yet: how many payments, how many fen.
pub(super) async fn refunds_due<C: ConnectionTrait>(conn: &C) -> Result<(i64, i64), DbErr> {
    let sql = "SELECT count(*) AS n, CAST(COALESCE(sum(amount_fen), 0) AS BIGINT) AS total
        FROM late_payment WHERE refunded_at = 0";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.try_get("", "n")?, row.try_get("", "total")?)))
}

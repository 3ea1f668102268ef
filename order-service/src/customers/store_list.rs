//! The queries of the customer list. A paid order is one with `paid_at`; nothing takes that back.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use crate::wire::Window;

/// Which subscriptions make a customer appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Paid orders.
    Orders,
    /// White-list entries.
    WhiteList,
}

/// Subscriptions of one kind in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    pub kind: Kind,
    pub window: Window,
}

/// A customer with all its subscriptions. Times are unix milliseconds.
#[derive(Debug, FromQueryResult)]
pub struct Subscriber {
    pub id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
    pub payment_count: i64,
    /// Fen.
    pub payment_total: i64,
    pub last_payment_at: i64,
    pub last_login_at: i64,
    pub last_review_at: i64,
    pub regist_at: i64,
}

impl Within {
    /// Table, its column of time, and the condition with its values.
    fn source(self) -> (&'static str, &'static str, Vec<Value>) {
        let Window { from_ms, to_ms } = self.window;
        match self.kind {
            Kind::Orders => {
                let (first, end) = self.window.ids_paid();
                let values = vec![from_ms.into(), to_ms.into(), first.into(), end.into()];
                (
                    "orders",
                    "paid_at > 0 AND paid_at >= $1 AND paid_at < $2 AND s.id >= $3 AND s.id < $4",
                    values,
                )
            }
            Kind::WhiteList => {
                let values = vec![from_ms.into(), to_ms.into()];
                (
                    "white_list_grant",
                    "open = 1 AND customer_id > 0 AND granted_at >= $1 AND granted_at < $2",
                    values,
                )
            }
        }
    }
}

/// The customers of the first `most` subscriptions, each with how many of those are its own; at most `persons` of
/// them. From an index alone.
pub(super) async fn customers_of<C: ConnectionTrait>(
    conn: &C,
    within: Within,
    most: i64,
    persons: i64,
) -> Result<Vec<(i64, i64)>, DbErr> {
    let (table, condition, mut values) = within.source();
    values.extend([most.into(), persons.into()]);
    let sql = format!(
        "SELECT customer_id, count(*) AS n FROM (SELECT customer_id FROM {table} AS s WHERE {condition} LIMIT ${}) AS x
         GROUP BY customer_id LIMIT ${}",
        values.len() - 1,
        values.len()
    );
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// The next `limit` customers with such a subscription after `skip`, below the id `below`, newest first.
///
/// Customer by customer: an answer that may be as long as the table is taken in order, so that it needs no memory.
pub(super) async fn next_customers<C: ConnectionTrait>(
    conn: &C,
    within: Within,
    mobile: Option<&str>,
    below: i64,
    skip: u64,
    limit: u64,
) -> Result<Vec<i64>, DbErr> {
    let (table, condition, mut values) = within.source();
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let same = mobile.map(|m| format!("c.mobile = {} AND", bind(m.into()))).unwrap_or_default();
    let below = bind(below.into());
    let (limit, skip) = (bind(signed(limit).into()), bind(signed(skip).into()));
    // A scalar subquery, not EXISTS: that would be turned into a join which reads all orders for each stretch.
    let sql = format!(
        "SELECT c.id FROM customer AS c WHERE {same} c.id < {below} AND
            (SELECT 1 FROM {table} AS s WHERE s.customer_id = c.id AND {condition} LIMIT 1) = 1
         ORDER BY c.id DESC LIMIT {limit} OFFSET {skip}"
    );
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// These customers with all their subscriptions, newest customer first: one statement for all of them.
pub(super) async fn subscribers<C: ConnectionTrait>(conn: &C, ids: &[i64]) -> Result<Vec<Subscriber>, DbErr> {
    let ids = serde_json::to_string(ids).map_err(|e| DbErr::Custom(e.to_string()))?;
    let (backend, wanted) = platform::db::dialect(
        conn,
        "SELECT e.value::bigint FROM json_array_elements_text($1::json) AS e(value)",
        "SELECT value FROM json_each($1)",
    );
    let sql = format!(
        "SELECT c.id, c.nick_name, c.avatar, c.mobile, c.last_login_at, c.last_review_at, c.regist_at,
            COALESCE(o.n, 0) + COALESCE(w.n, 0) AS payment_count, COALESCE(o.total, 0) AS payment_total,
            CASE WHEN COALESCE(o.at, 0) > COALESCE(w.at, 0) THEN o.at ELSE COALESCE(w.at, 0) END AS last_payment_at
         FROM customer AS c
         LEFT JOIN (SELECT customer_id, count(*) AS n, CAST(sum(total_fen) AS BIGINT) AS total, max(paid_at) AS at
            FROM orders WHERE customer_id IN ({wanted}) AND paid_at > 0 GROUP BY customer_id) AS o
            ON o.customer_id = c.id
         LEFT JOIN (SELECT customer_id, count(*) AS n, max(granted_at) AS at
            FROM white_list_grant WHERE customer_id IN ({wanted}) AND open = 1 GROUP BY customer_id) AS w
            ON w.customer_id = c.id
         WHERE c.id IN ({wanted}) ORDER BY c.id DESC"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [ids.into()]);
    Subscriber::find_by_statement(statement).all(conn).await
}

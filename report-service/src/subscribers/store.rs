//! The queries of rights and of those who have them.

use std::collections::{BTreeMap, HashMap};

use contracts::events::{CustomerChanged, CustomerSummary, OrderRow};
use platform::db::{Columns, WriteTx, dialect};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};
use serde::Serialize;

use crate::wire::Paging;

/// The right a paid order grants.
#[derive(Debug, Serialize)]
pub struct RightRow {
    pub order_id: i64,
    pub number: String,
    pub order_seq: i64,
    pub report_id: i64,
    pub customer_id: i64,
    pub quota: i64,
    pub open: i16,
    pub paid_at: i64,
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|e| DbErr::Custom(e.to_string()))
}

/// Writes customers nobody told of yet, as an order's copy has them.
pub async fn keep_copies<'a>(tx: &WriteTx, orders: impl Iterator<Item = &'a OrderRow>) -> Result<(), DbErr> {
    let copies: BTreeMap<i64, &CustomerSummary> = orders.map(|o| (o.customer.id, &o.customer)).collect();
    if copies.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = copies.values().map(|c| (c.id, &c.nick_name, &c.avatar, &c.mobile)).collect();
    let (backend, sql) = dialect(
        tx,
        "INSERT INTO customer (id, version, nick_name, avatar, mobile, regist_at, last_login_at, last_review_at)
            SELECT (e->>0)::bigint, 0, e->>1, e->>2, e->>3, 0, 0, 0 FROM json_array_elements($1::json) AS e
         ON CONFLICT DO NOTHING",
        "INSERT INTO customer (id, version, nick_name, avatar, mobile, regist_at, last_login_at, last_review_at)
            SELECT value->>0, 0, value->>1, value->>2, value->>3, 0, 0, 0 FROM json_each($1) WHERE true
         ON CONFLICT DO NOTHING",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [json(&rows)?.into()])).await.map(|_| ())
}

/// Writes customers, each newer than what is there; the latest reading stays. `rows` has each customer once, in
/// order of id, so that two processes do not wait for each other.
pub async fn keep_customers(tx: &WriteTx, rows: &[&CustomerChanged]) -> Result<(), DbErr> {
    let (backend, latest) = dialect(tx, "GREATEST", "max");
    let columns = Columns::new()
        .integers("id", rows.iter().map(|c| c.id))
        .integers("version", rows.iter().map(|c| c.version))
        .texts("nick_name", rows.iter().map(|c| &c.nick_name))
        .texts("avatar", rows.iter().map(|c| &c.avatar))
        .texts("mobile", rows.iter().map(|c| &c.mobile))
        .integers("regist_at", rows.iter().map(|c| c.regist_at))
        .integers("last_login_at", rows.iter().map(|c| c.last_login_at))
        .integers("last_review_at", rows.iter().map(|c| c.last_review_at));
    let (from, values) = columns.source(backend, 0, "r");
    let sql = format!(
        "INSERT INTO customer (id, version, nick_name, avatar, mobile, regist_at, last_login_at, last_review_at)
            SELECT id, version, nick_name, avatar, mobile, regist_at, last_login_at, last_review_at
            FROM {from} WHERE true
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, nick_name = excluded.nick_name,
            avatar = excluded.avatar, mobile = excluded.mobile, regist_at = excluded.regist_at,
            last_login_at = excluded.last_login_at,
            last_review_at = {latest}(customer.last_review_at, excluded.last_review_at)
         WHERE customer.version < excluded.version"
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
}

/// Writes rights, each newer than what is there; answers the reports of those that were not there yet.
pub async fn keep_rights(tx: &WriteTx, rows: &[RightRow]) -> Result<Vec<i64>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let rows = json(rows)?;
    let (backend, insert) = dialect(
        tx,
        "INSERT INTO order_right (order_id, number, order_seq, report_id, customer_id, quota, used, open, paid_at)
            SELECT order_id, number, order_seq, report_id, customer_id, quota, 0, open, paid_at
            FROM json_to_recordset($1::json) AS r(order_id bigint, number text, order_seq bigint,
                report_id bigint, customer_id bigint, quota bigint, open smallint, paid_at bigint)
         ON CONFLICT DO NOTHING RETURNING report_id",
        "INSERT INTO order_right (order_id, number, order_seq, report_id, customer_id, quota, used, open, paid_at)
            SELECT value->>'order_id', value->>'number', value->>'order_seq', value->>'report_id',
                value->>'customer_id', value->>'quota', 0, value->>'open', value->>'paid_at'
            FROM json_each($1) WHERE true
         ON CONFLICT DO NOTHING RETURNING report_id",
    );
    let statement = Statement::from_sql_and_values(backend, insert, [rows.clone().into()]);
    let new = tx.query_all_raw(statement).await?;
    let (backend, update) = dialect(
        tx,
        "UPDATE order_right AS o SET order_seq = r.order_seq, quota = r.quota, open = r.open, paid_at = r.paid_at
         FROM json_to_recordset($1::json) AS r(order_id bigint, order_seq bigint, quota bigint, open smallint,
            paid_at bigint)
         WHERE o.order_id = r.order_id AND o.order_seq < r.order_seq",
        "UPDATE order_right AS o SET order_seq = r.v->>'order_seq', quota = r.v->>'quota', open = r.v->>'open',
            paid_at = r.v->>'paid_at'
         FROM (SELECT value->>'order_id' AS order_id, value AS v FROM json_each($1)) AS r
         WHERE o.order_id = r.order_id AND o.order_seq < r.v->>'order_seq'",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, update, [rows.into()])).await?;
    new.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Adds to the `subscribe_count` of reports.
pub async fn count_subscriptions(tx: &WriteTx, more: &HashMap<i64, i64>) -> Result<(), DbErr> {
    let mut more: Vec<(i64, i64)> = more.iter().map(|(report, n)| (*report, *n)).collect();
    more.sort_unstable();
    for (report_id, n) in more {
        let sql = "UPDATE report SET subscribe_count = subscribe_count + $2 WHERE id = $1";
        let values = [report_id.into(), n.into()];
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    }
    Ok(())
}

/// A right that was just used.
#[derive(Debug, FromQueryResult)]
pub struct UsedRight {
    pub number: String,
    pub left_over: i64,
}

/// Uses up one reading of a customer's oldest order that has one left.
pub async fn use_one(tx: &WriteTx, report_id: i64, customer_id: i64) -> Result<Option<UsedRight>, DbErr> {
    let (backend, sql) = dialect(
        tx,
        "UPDATE order_right SET used = used + 1 WHERE order_id = (
            SELECT order_id FROM order_right
            WHERE report_id = $1 AND customer_id = $2 AND open = 1 AND used < quota
            ORDER BY paid_at, order_id LIMIT 1 FOR UPDATE)
         RETURNING number, quota - used AS left_over",
        "UPDATE order_right SET used = used + 1 WHERE order_id = (
            SELECT order_id FROM order_right
            WHERE report_id = $1 AND customer_id = $2 AND open = 1 AND used < quota
            ORDER BY paid_at, order_id LIMIT 1)
         RETURNING number, quota - used AS left_over",
    );
    let values = [report_id.into(), customer_id.into()];
    UsedRight::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).one(tx).await
}

/// The mobile of a customer.
pub async fn mobile_of(conn: &impl ConnectionTrait, customer_id: i64) -> Result<Option<String>, DbErr> {
    let sql = "SELECT mobile FROM customer WHERE id = $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [customer_id.into()]);
    conn.query_one_raw(statement).await?.map(|row| row.try_get_by_index(0)).transpose()
}

/// Notes that a customer has just read.
pub async fn note_reading(tx: &WriteTx, customer_id: i64, now_ms: i64) -> Result<(), DbErr> {
    let sql = "UPDATE customer SET last_review_at = $2 WHERE id = $1 AND last_review_at < $2";
    let values = [customer_id.into(), now_ms.into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.map(|_| ())
}

/// Readings a person has left in a report, white list and orders together.
pub async fn left(
    conn: &impl ConnectionTrait,
    report_id: i64,
    customer_id: i64,
    mobile: &str,
) -> Result<i64, DbErr> {
    let sql = "SELECT CAST(
        (SELECT COALESCE(SUM(residue_count), 0) FROM white_list_entry
            WHERE report_id = $1 AND mobile = $2 AND state = 0)
        + (SELECT COALESCE(SUM(quota - used), 0) FROM order_right
            WHERE report_id = $1 AND customer_id = $3 AND open = 1) AS BIGINT) AS n";
    let values = [report_id.into(), mobile.into(), customer_id.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_one_raw(statement).await?.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// A person with a right to a report. Times are unix milliseconds.
#[derive(Debug, FromQueryResult)]
pub struct Subscriber {
    pub user_id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
    pub used: i64,
    pub residue: i64,
    pub subscribed_at: i64,
    pub last_login_at: i64,
    pub last_review_at: i64,
    pub regist_at: i64,
}

/// One row a person: the customer where one is known by id or mobile, else the white list's mobile.
const PERSONS: &str = "
    SELECT COALESCE(MAX(c.id), 0) AS user_id, COALESCE(NULLIF(MAX(c.nick_name), ''), MAX(p.given_user)) AS nick_name,
        COALESCE(MAX(c.avatar), '') AS avatar, MAX(p.mobile) AS mobile, CAST(SUM(p.used) AS BIGINT) AS used,
        CAST(SUM(p.residue) AS BIGINT) AS residue, MAX(p.at) AS subscribed_at,
        COALESCE(MAX(c.last_login_at), 0) AS last_login_at, COALESCE(MAX(c.last_review_at), 0) AS last_review_at,
        COALESCE(MAX(c.regist_at), 0) AS regist_at
    FROM (
        SELECT mobile, given_user, read_count - residue_count AS used, residue_count AS residue, created_at AS at
        FROM white_list_entry WHERE report_id = $1 AND state = 0
        UNION ALL
        SELECT c.mobile, '', r.used, r.quota - r.used, r.paid_at
        FROM order_right r JOIN customer c ON c.id = r.customer_id WHERE r.report_id = $1 AND r.open = 1
    ) AS p LEFT JOIN customer c ON c.mobile = p.mobile
    GROUP BY p.mobile";

/// Everybody with a right to a report, and one page of them, the latest subscription first.
pub async fn list(
    conn: &impl ConnectionTrait,
    report_id: i64,
    paging: Paging,
) -> Result<(i64, Vec<Subscriber>), DbErr> {
    let backend = conn.get_database_backend();
    let sql = "SELECT COUNT(*) AS n FROM (
        SELECT mobile FROM white_list_entry WHERE report_id = $1 AND state = 0
        UNION
        SELECT c.mobile FROM order_right r JOIN customer c ON c.id = r.customer_id
            WHERE r.report_id = $1 AND r.open = 1) AS p";
    let counted =
        conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [report_id.into()])).await?;
    let total: i64 = counted.map_or(Ok(0), |row| row.try_get("", "n"))?;
    if paging.offset() >= total {
        return Ok((total, Vec::new()));
    }
    let sql = format!("{PERSONS} ORDER BY MAX(p.at) DESC, p.mobile LIMIT $2 OFFSET $3");
    let values = [report_id.into(), paging.limit.into(), paging.offset().into()];
    let page = Subscriber::find_by_statement(Statement::from_sql_and_values(backend, sql, values));
    Ok((total, page.all(conn).await?))
}

use std::collections::HashSet;

use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, Value};
use serde::Serialize;

use super::rules::{DISTRIBUTOR, OWN};
use crate::sql::{self, Column, Write};

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
    /// "" = no trace.
    pub traceparent: String,
    /// As it is; answers show what the partner's privacy setting allows.
    pub nick_name: String,
    pub mobile: String,
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
    ("traceparent", "text"),
    ("nick_name", "text"),
    ("mobile", "text"),
];

/// The first of `n` fresh sequence numbers. Holds the feed's lock until the transaction ends: that makes the
/// order of numbers the order of commits.
pub async fn take_seqs(tx: &WriteTx, n: usize) -> Result<i64, DbErr> {
    let sql = "UPDATE feed_head SET last_seq = last_seq + $1 WHERE id = 1 RETURNING last_seq";
    let n = i64::try_from(n).map_err(|e| DbErr::Custom(e.to_string()))?;
    let rows = sql::query(tx, sql, vec![n.into()]).await?;
    let row = rows.first().ok_or_else(|| DbErr::Custom("feed_head is empty".into()))?;
    Ok(row.try_get::<i64>("", "last_seq")? - n + 1)
}

/// Which changes of these orders are in the feed already: (number, order_seq).
pub async fn known(tx: &WriteTx, numbers: &[&str]) -> Result<HashSet<(String, i64)>, DbErr> {
    let from = sql::texts(tx.get_database_backend(), 1, "n");
    let sql = format!("SELECT c.number, c.order_seq FROM {from} JOIN order_change c ON c.number = n.v");
    let rows = sql::query(tx, sql, vec![sql::ones(numbers)?]).await?;
    rows.iter().map(|row| Ok((row.try_get("", "number")?, row.try_get("", "order_seq")?))).collect()
}

pub fn new_lines(backend: DbBackend, changes: &[NewChange]) -> Result<Option<Write>, DbErr> {
    Write::insert(backend, "order_change", COLUMNS, changes, "")
}

/// Takes the feed's lock without a number: what is decided under it, the consumer sees before its next change.
pub async fn lock_feed(tx: &WriteTx) -> Result<i64, DbErr> {
    let sql = "UPDATE feed_head SET last_seq = last_seq WHERE id = 1 RETURNING last_seq";
    let rows = sql::query(tx, sql, vec![]).await?;
    let row = rows.first().ok_or_else(|| DbErr::Custom("feed_head is empty".into()))?;
    row.try_get("", "last_seq")
}

/// Notes the first number of a day, if it is that day's first.
pub async fn note_day(tx: &WriteTx, day: i64, first_seq: i64) -> Result<(), DbErr> {
    let sql = "INSERT INTO feed_day (day, first_seq) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sql::execute(tx, sql, vec![day.into(), first_seq.into()]).await.map(|_| ())
}

/// The number before the first one that was given on `day` or later; `None` when there is none yet. Never falls as
/// days go by, also when replicas disagree about the hour of midnight.
pub async fn seq_before_day<C: ConnectionTrait>(conn: &C, day: i64) -> Result<Option<i64>, DbErr> {
    let sql = "SELECT min(first_seq) - 1 AS seq FROM feed_day WHERE day >= $1";
    let rows = sql::query(conn, sql, vec![day.into()]).await?;
    rows.first().map_or(Ok(None), |row| row.try_get("", "seq"))
}

/// The last number that was given.
pub async fn last_seq<C: ConnectionTrait>(conn: &C) -> Result<i64, DbErr> {
    let rows = sql::query(conn, "SELECT last_seq FROM feed_head WHERE id = 1", vec![]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get("", "last_seq"))
}

/// A line of the feed, as answers need it.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Line {
    pub seq: i64,
    pub event_id: String,
    pub partner_id: i64,
    pub source: i16,
    pub order_id: i64,
    pub number: String,
    pub order_seq: i64,
    pub event: String,
    pub changed_at: i64,
    pub standard: String,
    pub nick_name: String,
    pub mobile: String,
}

const LINE: &str = "c.seq, c.event_id, c.partner_id, c.source, c.order_id, c.number, c.order_seq, c.event,
    c.changed_at, c.standard, c.nick_name, c.mobile";
/// No later change of the same order.
const NEWEST: &str =
    "NOT EXISTS (SELECT 1 FROM order_change n WHERE n.number = c.number AND n.order_seq > c.order_seq)";

async fn lines<C: ConnectionTrait>(conn: &C, sql: String, values: Vec<Value>) -> Result<Vec<Line>, DbErr> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Line::find_by_statement(statement).all(conn).await
}

/// Whose changes, of which type.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    pub partner_id: i64,
    pub source: i16,
}

/// The newest state of each order that changed behind `after`, in the order of the feed.
pub async fn newest_after<C: ConnectionTrait>(
    conn: &C,
    whose: Whose,
    after: i64,
    limit: usize,
) -> Result<Vec<Line>, DbErr> {
    let sql = format!(
        "SELECT {LINE} FROM order_change c WHERE c.partner_id = $1 AND c.source = $2 AND c.seq > $3 AND {NEWEST}
        ORDER BY c.seq LIMIT {limit}"
    );
    lines(conn, sql, vec![whose.partner_id.into(), whose.source.into(), after.into()]).await
}

/// The present state of the orders placed from `first_ms` to `last_ms`, by time of placing; `behind` is the place
/// (checkout_at, seq of the placing) where the last stretch ended. Answers each with its place.
pub async fn placed_between<C: ConnectionTrait>(
    conn: &C,
    whose: Whose,
    (first_ms, last_ms): (i64, i64),
    behind: (i64, i64),
    limit: usize,
) -> Result<Vec<(Line, (i64, i64))>, DbErr> {
    let sql = format!(
        "SELECT {LINE}, p.checkout_at AS placed_at, p.seq AS placed_seq
        FROM order_change p JOIN order_change c ON c.number = p.number AND {NEWEST}
        WHERE p.partner_id = $1 AND p.source = $2 AND p.order_seq = 1 AND p.checkout_at >= $3 AND p.checkout_at <= $4
            AND (p.checkout_at, p.seq) > ($5, $6)
        ORDER BY p.checkout_at, p.seq LIMIT {limit}"
    );
    let values = vec![
        whose.partner_id.into(),
        whose.source.into(),
        first_ms.into(),
        last_ms.into(),
        behind.0.into(),
        behind.1.into(),
    ];
    let rows = sql::query(conn, sql, values).await?;
    rows.iter()
        .map(|row| {
            let place = (row.try_get("", "placed_at")?, row.try_get("", "placed_seq")?);
            Ok((Line::from_query_result(row, "")?, place))
        })
        .collect()
}

/// Every change of a stretch of the feed, `(after, until]`, that happened from `first_ms` to `last_ms`.
pub async fn happened_between<C: ConnectionTrait>(
    conn: &C,
    whose: Whose,
    (after, until): (i64, i64),
    (first_ms, last_ms): (i64, i64),
    limit: usize,
) -> Result<Vec<Line>, DbErr> {
    let sql = format!(
        "SELECT {LINE} FROM order_change c WHERE c.partner_id = $1 AND c.source = $2 AND c.seq > $3 AND c.seq <= $4
            AND c.changed_at >= $5 AND c.changed_at <= $6
        ORDER BY c.seq LIMIT {limit}"
    );
    let values = vec![
        whose.partner_id.into(),
        whose.source.into(),
        after.into(),
        until.into(),
        first_ms.into(),
        last_ms.into(),
    ];
    lines(conn, sql, values).await
}

/// The changes behind `after`, in the order of the feed, of one type or (`source` `None`) of both.
///
/// Always one statement: two would see two moments, and what commits between them would be skipped by whoever goes
/// on from the later one's end.
pub async fn after<C: ConnectionTrait>(
    conn: &C,
    partner_id: i64,
    source: Option<i16>,
    after: i64,
    limit: usize,
) -> Result<Vec<Line>, DbErr> {
    let of = |source: i16| {
        format!(
            "SELECT * FROM (SELECT {LINE} FROM order_change c
            WHERE c.partner_id = $1 AND c.source = {source} AND c.seq > $2 ORDER BY c.seq LIMIT {limit}) AS t{source}"
        )
    };
    let sql = match source {
        Some(source) => of(source),
        None => format!("{} UNION ALL {} ORDER BY seq LIMIT {limit}", of(OWN), of(DISTRIBUTOR)),
    };
    lines(conn, sql, vec![partner_id.into(), after.into()]).await
}

/// The changes of one order, newest first; `scope`: only if it is this partner's.
pub async fn of_order<C: ConnectionTrait>(
    conn: &C,
    number: &str,
    scope: Option<i64>,
    limit: u64,
) -> Result<Vec<Line>, DbErr> {
    let sql = format!(
        "SELECT {LINE} FROM order_change c WHERE c.number = $1 AND ($2 < 0 OR c.partner_id = $2)
        ORDER BY c.order_seq DESC LIMIT {limit}"
    );
    lines(conn, sql, vec![number.into(), scope.unwrap_or(-1).into()]).await
}

//! Many rows in one statement: a list travels as one JSON parameter and the database unfolds it
//! (`json_to_recordset` on PostgreSQL, which parses each row once; `json_each` on SQLite).

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};
use serde::Serialize;

/// Name and PostgreSQL type of a field; the JSON objects use the same names.
pub type Column = (&'static str, &'static str);

/// The list as one parameter.
pub fn param<T: Serialize>(rows: &[T]) -> Result<Value, DbErr> {
    serde_json::to_string(rows).map(Value::from).map_err(|e| DbErr::Custom(format!("rows as JSON: {e}")))
}

/// `FROM` source named `alias` with the columns of parameter `$n`.
pub fn source(backend: DbBackend, n: usize, alias: &str, columns: &[Column]) -> String {
    if backend == DbBackend::Postgres {
        let columns: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        format!("json_to_recordset(${n}::json) AS {alias}({})", columns.join(", "))
    } else {
        let columns: Vec<String> =
            columns.iter().map(|(name, _)| format!("json_extract(value, '$.{name}') AS {name}")).collect();
        format!("(SELECT {} FROM json_each(${n})) AS {alias}", columns.join(", "))
    }
}

/// Inserts `rows`, one statement. `tail` follows the select (`ON CONFLICT …`), "" for nothing.
pub async fn insert<C: ConnectionTrait, T: Serialize>(
    conn: &C,
    table: &str,
    columns: &[Column],
    rows: &[T],
    tail: &str,
) -> Result<u64, DbErr> {
    if rows.is_empty() {
        return Ok(0);
    }
    let backend = conn.get_database_backend();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let from = source(backend, 1, "r", columns);
    // "WHERE true": without it SQLite would read ON CONFLICT as a join's ON.
    let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM {from} WHERE true {tail}");
    execute(conn, sql, vec![param(rows)?]).await.map(|done| done.rows_affected())
}

/// Runs a statement that answers no rows.
pub async fn execute<C: ConnectionTrait>(
    conn: &C,
    sql: impl Into<String>,
    values: Vec<Value>,
) -> Result<ExecResult, DbErr> {
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await
}

/// Runs a statement that answers rows.
pub async fn query<C: ConnectionTrait>(
    conn: &C,
    sql: impl Into<String>,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await
}

/// One-column lists: the rows of `integers` and `texts` have this field.
#[derive(Serialize)]
pub struct One<T> {
    pub v: T,
}

/// `$n` as a list of numbers under the name `alias.v`.
pub fn integers(backend: DbBackend, n: usize, alias: &str) -> String {
    source(backend, n, alias, &[("v", "bigint")])
}

/// `$n` as a list of texts under the name `alias.v`.
pub fn texts(backend: DbBackend, n: usize, alias: &str) -> String {
    source(backend, n, alias, &[("v", "text")])
}

/// The parameter of [`integers`] and [`texts`].
pub fn ones<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<Value, DbErr> {
    param(&values.into_iter().map(|v| One { v }).collect::<Vec<_>>())
}

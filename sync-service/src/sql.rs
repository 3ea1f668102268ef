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

/// A statement that answers no rows.
#[derive(Debug)]
pub struct Write {
    text: String,
    values: Vec<Value>,
}

impl Write {
    pub fn new(text: impl Into<String>, values: Vec<Value>) -> Self {
        Self { text: text.into(), values }
    }

    /// Inserts `rows`; `None` when there are none. `tail` follows the select (`ON CONFLICT …`), "" for nothing.
    pub fn insert<T: Serialize>(
        backend: DbBackend,
        table: &str,
        columns: &[Column],
        rows: &[T],
        tail: &str,
    ) -> Result<Option<Self>, DbErr> {
        if rows.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let from = source(backend, 1, "r", columns);
        // "WHERE true": without it SQLite would read ON CONFLICT as a join's ON.
        let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM {from} WHERE true {tail}");
        Ok(Some(Self::new(sql, vec![param(rows)?])))
    }
}

/// Runs statements that do not see one another's effects and touch no row twice: in one round trip on PostgreSQL, one
/// after the other on SQLite, where a round trip is a call.
pub async fn together<C: ConnectionTrait>(
    conn: &C,
    writes: impl IntoIterator<Item = Option<Write>>,
) -> Result<(), DbErr> {
    let mut writes: Vec<Write> = writes.into_iter().flatten().collect();
    if conn.get_database_backend() == DbBackend::Postgres {
        writes = joined(writes).into_iter().collect();
    }
    for Write { text, values } in writes {
        execute(conn, text, values).await?;
    }
    Ok(())
}

/// `WITH w0 AS (…), w1 AS (…) …`, the parameters numbered on.
fn joined(mut writes: Vec<Write>) -> Option<Write> {
    let mut last = writes.pop()?;
    let (mut head, mut values) = (String::new(), Vec::new());
    for (i, write) in writes.into_iter().enumerate() {
        let start = if i == 0 { "WITH" } else { "," };
        head += &format!("{start} w{i} AS ({})", renumbered(&write.text, values.len()));
        values.extend(write.values);
    }
    if !values.is_empty() {
        last.text = format!("{head} {}", renumbered(&last.text, values.len()));
        values.append(&mut last.values);
        last.values = values;
    }
    Some(last)
}

/// `$n` becomes `$(n + by)`.
fn renumbered(text: &str, by: usize) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let n: usize = part[..digits].parse().unwrap_or_default();
        out += &format!("${}{}", n + by, &part[digits..]);
    }
    out
}

/// Inserts `rows`, one statement. `tail` follows the select (`ON CONFLICT …`), "" for nothing.
pub async fn insert<C: ConnectionTrait, T: Serialize>(
    conn: &C,
    table: &str,
    columns: &[Column],
    rows: &[T],
    tail: &str,
) -> Result<(), DbErr> {
    together(conn, [Write::insert(conn.get_database_backend(), table, columns, rows, tail)?]).await
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

/// The condition that `column` is one of `ids`, and its parameters: they follow the statement's `before` others. Where
/// the column is what a table is split by, PostgreSQL seeks each by the primary key, whatever it believes of the months
/// (joined to a list between their ends, it may read all that lies between), and the ends leave out the other months.
pub fn one_of(
    backend: DbBackend,
    before: usize,
    column: &str,
    ids: &[i64],
) -> Result<(String, Vec<Value>), DbErr> {
    let n = before + 1;
    if backend != DbBackend::Postgres {
        let from = integers(backend, n, "r");
        return Ok((format!("{column} IN (SELECT r.v FROM {from})"), vec![ones(ids)?]));
    }
    let (first, last) = (ids.iter().min().copied(), ids.iter().max().copied());
    let sql = format!("{column} = ANY(${n}) AND {column} BETWEEN ${} AND ${}", n + 1, n + 2);
    Ok((sql, vec![ids.to_vec().into(), first.into(), last.into()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_joined_with_their_parameters_numbered_on() {
        let write =
            |text: &str, values: &[i64]| Write::new(text, values.iter().map(|v| (*v).into()).collect());
        let one = joined(vec![write("DELETE FROM a WHERE x = $1", &[1])]).expect("one");
        assert_eq!(one.text, "DELETE FROM a WHERE x = $1");
        let three = vec![
            write("INSERT INTO a VALUES ($1)", &[1]),
            write("UPDATE b SET x = $2 WHERE id = $1", &[2, 3]),
            write("DELETE FROM c WHERE x = $1 AND y = $12", &[4]),
        ];
        let three = joined(three).expect("three");
        assert_eq!(
            three.text,
            "WITH w0 AS (INSERT INTO a VALUES ($1)), w1 AS (UPDATE b SET x = $3 WHERE id = $2) \
            DELETE FROM c WHERE x = $4 AND y = $15"
        );
        assert_eq!(three.values, [1_i64, 2, 3, 4].map(Value::from));
        assert!(joined(Vec::new()).is_none());
    }
}

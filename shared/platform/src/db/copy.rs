//! Bulk loading by PostgreSQL's COPY: several tables in one transaction.

use sea_orm::{DbErr, RuntimeErr, Value};
use sqlx::Connection as _;

use super::Db;

/// Rows of one table in COPY's text form.
#[derive(Debug)]
pub struct Rows {
    pub table: &'static str,
    /// Comma-separated.
    pub columns: String,
    pub text: Vec<u8>,
}

impl Rows {
    pub fn new(table: &'static str, columns: &[&str]) -> Self {
        Self { table, columns: columns.join(", "), text: Vec::new() }
    }

    /// Adds a row; one value for each column.
    pub fn push(&mut self, values: impl IntoIterator<Item = Value>) {
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                self.text.push(b'\t');
            }
            field(&mut self.text, &value);
        }
        self.text.push(b'\n');
    }
}

fn field(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(Some(v)) => out.push(if *v { b't' } else { b'f' }),
        Value::SmallInt(Some(v)) => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Int(Some(v)) => out.extend_from_slice(v.to_string().as_bytes()),
        Value::BigInt(Some(v)) => out.extend_from_slice(v.to_string().as_bytes()),
        Value::String(Some(text)) => {
            for byte in text.bytes() {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    other => out.push(other),
                }
            }
        }
        // NULL of any type; the tables that are loaded have no other types.
        _ => out.extend_from_slice(b"\\N"),
    }
}

/// Loads all of it, or nothing. For PostgreSQL only.
///
/// # Errors
/// The database; its message names the row.
pub async fn load(db: &Db, tables: &[Rows]) -> Result<(), DbErr> {
    let failed = |e: sqlx::Error| DbErr::Exec(RuntimeErr::SqlxError(e.into()));
    let pool = db.conn.get_postgres_connection_pool();
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut tx = connection.begin().await.map_err(failed)?;
    for rows in tables.iter().filter(|r| !r.text.is_empty()) {
        let sql = format!("COPY {} ({}) FROM STDIN", rows.table, rows.columns);
        let mut copy = tx.copy_in_raw(&sql).await.map_err(failed)?;
        copy.send(rows.text.as_slice()).await.map_err(failed)?;
        copy.finish().await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

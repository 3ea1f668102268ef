//! The queries of the white list.

use platform::db::{WriteTx, dialect};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde::Serialize;

/// Rows of one INSERT.
const BATCH: usize = 2000;

/// What new entries of one request have in common.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub report_id: i64,
    pub author: &'a str,
    /// 0 = by hand.
    pub import_id: i64,
    pub now_ms: i64,
}

/// A row of [`insert`].
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    pub id: i64,
    #[serde(rename = "u")]
    pub given_user: &'a str,
    #[serde(rename = "p")]
    pub given_position: &'a str,
    #[serde(rename = "c")]
    pub given_company: &'a str,
    #[serde(rename = "m")]
    pub mobile: &'a str,
    #[serde(rename = "n")]
    pub read_count: i64,
    #[serde(rename = "s")]
    pub state: i16,
}

/// Adds entries with all their readings left.
pub async fn insert(tx: &WriteTx, origin: Origin<'_>, rows: &[Row<'_>]) -> Result<(), DbErr> {
    let (backend, sql) = dialect(
        tx,
        "INSERT INTO white_list_entry (id, report_id, version, given_user, given_position, given_company,
            mobile, read_count, residue_count, state, author, import_id, created_at, updated_at)
         SELECT id, $2, 1, u, p, c, m, n, n, s, $3, $4, $5, $5
         FROM json_to_recordset($1::json) AS r(id bigint, u text, p text, c text, m text, n bigint, s smallint)",
        "INSERT INTO white_list_entry (id, report_id, version, given_user, given_position, given_company,
            mobile, read_count, residue_count, state, author, import_id, created_at, updated_at)
         SELECT value->>'id', $2, 1, value->>'u', value->>'p', value->>'c', value->>'m', value->>'n',
            value->>'n', value->>'s', $3, $4, $5, $5
         FROM json_each($1)",
    );
    for batch in rows.chunks(BATCH) {
        let json = serde_json::to_string(batch).map_err(|e| DbErr::Custom(e.to_string()))?;
        let values = [
            json.into(),
            origin.report_id.into(),
            origin.author.into(),
            origin.import_id.into(),
            origin.now_ms.into(),
        ];
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

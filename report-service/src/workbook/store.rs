//! The queries of imports and exports.

use platform::db::{WriteTx, dialect};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};

use super::rules::{BadRow, Counts};
use crate::{
    entities::{
        white_list_entry,
        white_list_import::{ActiveModel, Column, Entity, Model},
    },
    wire::Paging,
};

/// A row of an export: id, 昵称, 职位, 公司, 电话, 阅读次数.
pub type ExportRow = (i64, String, String, String, String, i64);

/// A refused row: its sheet row, why, its cells as JSON.
#[derive(Debug, FromQueryResult)]
pub struct ErrorRow {
    pub row_no: i64,
    pub reason: String,
    pub cells: String,
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|e| DbErr::Custom(e.to_string()))
}

/// How many of these mobiles, all different, stand in the report.
pub async fn known_mobiles(
    conn: &impl ConnectionTrait,
    report_id: i64,
    mobiles: &[&str],
) -> Result<usize, DbErr> {
    if mobiles.is_empty() {
        return Ok(0);
    }
    let (backend, sql) = dialect(
        conn,
        // LIMIT keeps the planner from scanning the whole report for every batch: one probe a mobile.
        "SELECT m FROM json_array_elements_text($2::json) AS m CROSS JOIN LATERAL
            (SELECT 1 FROM white_list_entry WHERE report_id = $1 AND mobile = m LIMIT 1) AS hit",
        "SELECT value FROM json_each($2) WHERE EXISTS
            (SELECT 1 FROM white_list_entry WHERE report_id = $1 AND mobile = value)",
    );
    let values = [report_id.into(), json(mobiles)?.into()];
    Ok(conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?.len())
}

/// Whether the report has no entries but those of this import, as far as imports go; it is the caller's turn. Who
/// adds some by hand meanwhile has added them after it, and by hand a mobile may stand there twice.
pub async fn has_none_else(tx: &WriteTx, import: &Model) -> Result<bool, DbErr> {
    let first = counts(import).total() == 0;
    if !first && !import.into_empty {
        return Ok(false);
    }
    let sql = if first {
        "SELECT 1 FROM white_list_entry WHERE report_id = $1 AND import_id <> $2 LIMIT 1"
    } else {
        "SELECT 1 FROM white_list_import WHERE report_id = $1 AND id <> $2 AND success_count > 0 LIMIT 1"
    };
    let values = [import.report_id.into(), import.id.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.query_one_raw(statement).await?.is_none())
}

/// Adds an import.
pub async fn insert(tx: &WriteTx, import: Model) -> Result<(), DbErr> {
    Entity::insert(ActiveModel::from(import).reset_all()).exec_without_returning(tx).await.map(|_| ())
}

/// Writes an import that was read for update.
pub async fn update(tx: &WriteTx, import: Model) -> Result<(), DbErr> {
    ActiveModel::from(import).reset_all().update(tx).await.map(|_| ())
}

/// Adds a batch of judged rows.
pub async fn insert_batch(tx: &WriteTx, import_id: i64, seq: i32, body: &str) -> Result<(), DbErr> {
    let sql = "INSERT INTO white_list_import_batch (import_id, seq, body) VALUES ($1, $2, $3)";
    let values = [import_id.into(), seq.into(), body.into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.map(|_| ())
}

/// Keeps refused rows.
pub async fn insert_errors(tx: &WriteTx, import_id: i64, rows: &[BadRow]) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        rows.iter().map(|(n, reason, cells)| Ok((n, reason, json(cells)?))).collect::<Result<_, DbErr>>()?;
    let (backend, sql) = dialect(
        tx,
        "INSERT INTO white_list_import_error (import_id, row_no, reason, cells)
            SELECT $1, (e->>0)::bigint, e->>1, e->>2 FROM json_array_elements($2::json) AS e
            ON CONFLICT DO NOTHING",
        "INSERT INTO white_list_import_error (import_id, row_no, reason, cells)
            SELECT $1, value->>0, value->>1, value->>2 FROM json_each($2) WHERE true ON CONFLICT DO NOTHING",
    );
    let values = [import_id.into(), json(&rows)?.into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
}

/// The oldest running import that nobody else works on, held until the transaction ends.
pub async fn next_running(tx: &WriteTx) -> Result<Option<Model>, DbErr> {
    let (backend, sql) = dialect(
        tx,
        "SELECT * FROM white_list_import WHERE state = 'running' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        "SELECT * FROM white_list_import WHERE state = 'running' ORDER BY id LIMIT 1",
    );
    Entity::find().from_raw_sql(Statement::from_string(backend, sql)).one(tx).await
}

/// The oldest import that has ended and has entries to tell of, held until the transaction ends; one that
/// somebody else holds is left to them.
pub async fn next_untold(tx: &WriteTx) -> Result<Option<Model>, DbErr> {
    let (backend, sql) = dialect(
        tx,
        "SELECT * FROM white_list_import WHERE untold_from > 0 AND state <> 'running' ORDER BY id LIMIT 1
            FOR UPDATE SKIP LOCKED",
        "SELECT * FROM white_list_import WHERE untold_from > 0 AND state <> 'running' ORDER BY id LIMIT 1",
    );
    Entity::find().from_raw_sql(Statement::from_string(backend, sql)).one(tx).await
}

/// Imports that have ended and have entries to tell of. A read, so that idle turns disturb no writer.
pub async fn untold(conn: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS n FROM white_list_import WHERE untold_from > 0 AND state <> 'running'";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    row.map_or(Ok(0), |row| row.try_get("", "n"))
}

/// The next `limit` entries of an import that it has not told of, in order of id.
pub async fn untold_entries(
    tx: &WriteTx,
    import: &Model,
    limit: usize,
) -> Result<Vec<white_list_entry::Model>, DbErr> {
    // The limit stands in the text, the order as the key has it: a plan made for any limit would sort.
    let sql = format!(
        "SELECT * FROM white_list_entry WHERE report_id = $1 AND id BETWEEN $2 AND $3 AND import_id = $4
            ORDER BY report_id, id LIMIT {limit}"
    );
    let from = import.untold_from.max(import.first_id);
    let values = [import.report_id.into(), from.into(), import.last_id.into(), import.id.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    white_list_entry::Entity::find().from_raw_sql(statement).all(tx).await
}

/// Imports under way, and the rows they have left. A read, so that idle turns disturb no writer.
pub async fn running(conn: &impl ConnectionTrait) -> Result<(i64, i64), DbErr> {
    let sql = "SELECT count(*) AS imports,
            CAST(COALESCE(sum(row_count - success_count - repeat_count - error_count), 0) AS BIGINT) AS rows_left
        FROM white_list_import WHERE state = 'running'";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let Some(row) = row else { return Ok((0, 0)) };
    Ok((row.try_get("", "imports")?, row.try_get("", "rows_left")?))
}

/// A batch and its place in the file.
#[derive(Debug, FromQueryResult)]
pub struct Queued {
    pub seq: i32,
    /// "" when the caller has it.
    pub body: String,
}

/// Takes the next batch of an import out of the table; the transaction decides whether that holds. The body of
/// `known`, a batch the caller has read ahead, is not sent again.
pub async fn take_batch(tx: &WriteTx, import_id: i64, known: i32) -> Result<Option<Queued>, DbErr> {
    let sql = "DELETE FROM white_list_import_batch WHERE import_id = $1 AND seq =
        (SELECT min(seq) FROM white_list_import_batch WHERE import_id = $1)
        RETURNING seq, CASE WHEN seq = $2 THEN '' ELSE body END AS body";
    let values = [import_id.into(), known.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Queued::find_by_statement(statement).one(tx).await
}

/// The body of a batch that still waits.
pub async fn read_batch(
    conn: &impl ConnectionTrait,
    import_id: i64,
    seq: i32,
) -> Result<Option<String>, DbErr> {
    let sql = "SELECT body FROM white_list_import_batch WHERE import_id = $1 AND seq = $2";
    let values = [import_id.into(), seq.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_one_raw(statement).await?.map(|row| row.try_get_by_index(0)).transpose()
}

/// Drops the batches of an import that will not go on.
pub async fn drop_batches(tx: &WriteTx, import_id: i64) -> Result<(), DbErr> {
    let sql = "DELETE FROM white_list_import_batch WHERE import_id = $1";
    let values = [import_id.into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.map(|_| ())
}

/// Drops some batches whose import, older than `before`, was never made; answers how many.
pub async fn purge_orphans(tx: &WriteTx, before: i64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM white_list_import_batch WHERE (import_id, seq) IN
        (SELECT b.import_id, b.seq FROM white_list_import_batch b WHERE b.import_id < $1
            AND NOT EXISTS (SELECT 1 FROM white_list_import i WHERE i.id = b.import_id) LIMIT 200)";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [before.into()]);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}

/// Counts of an import, as stored.
pub fn counts(import: &Model) -> Counts {
    Counts { success: import.success_count, repeat: import.repeat_count, error: import.error_count }
}

/// Imports of a report and one page of them, newest first.
pub async fn list(
    conn: &impl ConnectionTrait,
    report_id: i64,
    paging: Paging,
) -> Result<(i64, Vec<Model>), DbErr> {
    let of_report = Entity::find().filter(Column::ReportId.eq(report_id));
    let total = i64::try_from(of_report.clone().count(conn).await?).unwrap_or(i64::MAX);
    if paging.offset() >= total {
        return Ok((total, Vec::new()));
    }
    let page = of_report
        .order_by_desc(Column::Id)
        .offset(u64::try_from(paging.offset()).unwrap_or(0))
        .limit(u64::try_from(paging.limit).unwrap_or(0));
    Ok((total, page.all(conn).await?))
}

/// One import of a report.
pub async fn find(conn: &impl ConnectionTrait, report_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::ReportId.eq(report_id)).one(conn).await
}

/// One import of a report for a change.
pub async fn find_for_update(tx: &WriteTx, report_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::ReportId.eq(report_id)).lock_exclusive().one(tx).await
}

/// Refused rows of an import behind `after`, in order.
pub async fn errors(
    conn: &impl ConnectionTrait,
    import_id: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<ErrorRow>, DbErr> {
    let sql = "SELECT row_no, reason, cells FROM white_list_import_error
        WHERE import_id = $1 AND row_no > $2 ORDER BY row_no LIMIT $3";
    let values = [import_id.into(), after.into(), limit.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    ErrorRow::find_by_statement(statement).all(conn).await
}

/// Entries of an import that were changed or read since.
pub async fn touched(tx: &WriteTx, import: &Model) -> Result<i64, DbErr> {
    use white_list_entry::Column;
    let touched = white_list_entry::Entity::find()
        .filter(Column::ReportId.eq(import.report_id))
        .filter(Column::Id.between(import.first_id, import.last_id))
        .filter(Column::ImportId.eq(import.id))
        .filter(Column::Version.gt(1));
    Ok(i64::try_from(touched.count(tx).await?).unwrap_or(i64::MAX))
}

/// Removes up to `limit` entries of an import that nobody touched and answers them.
pub async fn remove_entries(
    tx: &WriteTx,
    import: &Model,
    limit: i64,
) -> Result<Vec<white_list_entry::Model>, DbErr> {
    let sql = "DELETE FROM white_list_entry WHERE report_id = $1 AND version = 1 AND id IN
        (SELECT id FROM white_list_entry WHERE report_id = $1 AND id BETWEEN $2 AND $3 AND import_id = $4 AND version = 1
         ORDER BY id LIMIT $5)
        RETURNING *";
    let values = [
        import.report_id.into(),
        import.first_id.into(),
        import.last_id.into(),
        import.id.into(),
        limit.into(),
    ];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    white_list_entry::Entity::find().from_raw_sql(statement).all(tx).await
}

/// Entries of a report behind `after`, in order of id; `ids` narrows them.
pub async fn export_page(
    conn: &impl ConnectionTrait,
    report_id: i64,
    ids: Option<&[i64]>,
    after: i64,
    limit: i64,
) -> Result<Vec<ExportRow>, DbErr> {
    let (backend, sql) = match ids {
        None => (
            conn.get_database_backend(),
            "SELECT id, given_user, given_position, given_company, mobile, read_count FROM white_list_entry
             WHERE report_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        ),
        Some(_) => dialect(
            conn,
            "SELECT id, given_user, given_position, given_company, mobile, read_count FROM white_list_entry
             WHERE report_id = $1 AND id > $2 AND id IN (SELECT i::bigint FROM json_array_elements_text($4::json) AS i)
             ORDER BY id LIMIT $3",
            "SELECT id, given_user, given_position, given_company, mobile, read_count FROM white_list_entry
             WHERE report_id = $1 AND id > $2 AND id IN (SELECT value FROM json_each($4)) ORDER BY id LIMIT $3",
        ),
    };
    let mut values = vec![report_id.into(), after.into(), limit.into()];
    if let Some(ids) = ids {
        values.push(json(ids)?.into());
    }
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get_many_by_index()).collect()
}

/// Forgets refused rows and imports older than `before`, a bounded number at a time; answers how many.
pub async fn purge(tx: &WriteTx, before: i64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM white_list_import_error WHERE (import_id, row_no) IN
        (SELECT e.import_id, e.row_no FROM white_list_import_error e
         JOIN white_list_import i ON i.id = e.import_id WHERE i.finished_at > 0 AND i.finished_at < $1 LIMIT 5000)";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [before.into()]);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}

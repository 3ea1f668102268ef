//! The queries of the white list.

use platform::{
    audit::Who,
    db::{Columns, WriteTx, dialect},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, Select, Statement, Value, sea_query::Cond,
};
use serde::Serialize;

use crate::{
    entities::white_list_entry::{Column, Entity, Model},
    sql,
    wire::Paging,
};

/// Rows of one statement; few enough that one is built while another runs.
const BATCH: usize = 1250;

/// What new entries of one request have in common.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub report_id: i64,
    /// The author of the entries, by name.
    pub who: &'a Who,
    /// 0 = by hand.
    pub import_id: i64,
    pub now_ms: i64,
}

/// A row of [`insert`].
#[derive(Debug)]
pub struct Row<'a> {
    pub id: i64,
    pub given_user: &'a str,
    pub given_position: &'a str,
    pub given_company: &'a str,
    pub mobile: &'a str,
    pub read_count: i64,
    pub state: i16,
}

fn columns(rows: &[Row<'_>]) -> Columns {
    Columns::new()
        .integers("id", rows.iter().map(|r| r.id))
        .texts("u", rows.iter().map(|r| r.given_user))
        .texts("p", rows.iter().map(|r| r.given_position))
        .texts("c", rows.iter().map(|r| r.given_company))
        .texts("m", rows.iter().map(|r| r.mobile))
        .integers("n", rows.iter().map(|r| r.read_count))
        .integers("s", rows.iter().map(|r| r.state.into()))
}

/// `INSERT … SELECT …` of the rows, all their readings left; `tail` follows the select.
fn inserting(backend: DbBackend, origin: Origin<'_>, rows: &[Row<'_>], tail: &str) -> Statement {
    let mut values: Vec<Value> = vec![
        origin.report_id.into(),
        origin.who.actor.name.as_str().into(),
        origin.import_id.into(),
        origin.now_ms.into(),
    ];
    let (from, unfolded) = columns(rows).source(backend, values.len(), "r");
    values.extend(unfolded);
    let sql = format!(
        "INSERT INTO white_list_entry (id, report_id, version, given_user, given_position, given_company, mobile,
            read_count, residue_count, state, author, import_id, created_at, updated_at)
         SELECT id, $1, 1, u, p, c, m, n, n, s, $2, $3, $4, $4 FROM {from} {tail}"
    );
    Statement::from_sql_and_values(backend, sql, values)
}

/// Adds entries with all their readings left.
pub async fn insert(tx: &WriteTx, origin: Origin<'_>, rows: &[Row<'_>]) -> Result<(), DbErr> {
    insert_all(tx, origin, rows, "").await.map(|_| ())
}

/// Each statement is built while the database runs the one before it.
async fn insert_all(tx: &WriteTx, origin: Origin<'_>, rows: &[Row<'_>], tail: &str) -> Result<u64, DbErr> {
    let mut batches = rows.chunks(BATCH);
    let mut build = || batches.next().map(|rows| inserting(tx.get_database_backend(), origin, rows, tail));
    let (mut next, mut inserted) = (build(), 0);
    while let Some(statement) = next {
        let (done, built) = tokio::join!(tx.execute_raw(statement), async { build() });
        inserted += done?.rows_affected();
        next = built;
    }
    Ok(inserted)
}

/// Adds those entries whose mobile the report does not have yet, with all their readings left; answers how many.
/// No mobile stands in `rows` twice.
pub async fn insert_fresh(tx: &WriteTx, origin: Origin<'_>, rows: &[Row<'_>]) -> Result<u64, DbErr> {
    // A sub-select is one probe a mobile; the planner may turn NOT EXISTS into a scan of the whole report.
    let fresh =
        "WHERE (SELECT 1 FROM white_list_entry w WHERE w.report_id = $1 AND w.mobile = r.m LIMIT 1) IS NULL";
    insert_all(tx, origin, rows, fresh).await
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|e| DbErr::Custom(e.to_string()))
}

/// Writes entries of one report that were read for update.
pub async fn update(tx: &WriteTx, report_id: i64, entries: &[Model]) -> Result<(), DbErr> {
    let (backend, sql) = dialect(
        tx,
        "UPDATE white_list_entry AS w SET version = r.v, given_user = r.u, given_position = r.p,
            given_company = r.c, mobile = r.m, read_count = r.n, residue_count = r.l, state = r.s, author = r.a,
            updated_at = r.t
         FROM json_to_recordset($1::json) AS r(id bigint, v bigint, u text, p text, c text, m text, n bigint,
            l bigint, s smallint, a text, t bigint)
         WHERE w.report_id = $2 AND w.id = r.id",
        "UPDATE white_list_entry AS w SET version = r.v->>'v', given_user = r.v->>'u',
            given_position = r.v->>'p', given_company = r.v->>'c', mobile = r.v->>'m', read_count = r.v->>'n',
            residue_count = r.v->>'l', state = r.v->>'s', author = r.v->>'a', updated_at = r.v->>'t'
         FROM (SELECT value->>'id' AS id, value AS v FROM json_each($1)) AS r
         WHERE w.report_id = $2 AND w.id = r.id",
    );
    for batch in entries.chunks(BATCH) {
        let rows: Vec<_> = batch
            .iter()
            .map(|e| {
                serde_json::json!({
                    "id": e.id, "v": e.version, "u": e.given_user, "p": e.given_position, "c": e.given_company,
                    "m": e.mobile, "n": e.read_count, "l": e.residue_count, "s": e.state, "a": e.author,
                    "t": e.updated_at,
                })
            })
            .collect();
        let values = [json(&rows)?.into(), report_id.into()];
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

/// Removes an entry that was read for update.
pub async fn delete(tx: &WriteTx, report_id: i64, id: i64) -> Result<(), DbErr> {
    Entity::delete_by_id((report_id, id)).exec(tx).await.map(|_| ())
}

/// All entries of a report that match, and one page of them in order of id.
pub async fn list(
    conn: &impl ConnectionTrait,
    report_id: i64,
    search: Option<&str>,
    paging: Paging,
) -> Result<(i64, Vec<Model>), DbErr> {
    let matching = matching(report_id, search);
    let total = i64::try_from(matching.clone().count(conn).await?).unwrap_or(i64::MAX);
    let offset = paging.offset();
    if offset >= total {
        return Ok((total, Vec::new()));
    }
    // The skipped rows cost a step in the index each, not a visit to the table.
    let ids = matching
        .select_only()
        .column(Column::Id)
        .order_by_asc(Column::Id)
        .offset(u64::try_from(offset).unwrap_or(0))
        .limit(u64::try_from(paging.limit).unwrap_or(0));
    let page = Entity::find()
        .filter(Column::ReportId.eq(report_id))
        .filter(Column::Id.in_subquery(ids.into_query()));
    Ok((total, page.order_by_asc(Column::Id).all(conn).await?))
}

fn matching(report_id: i64, search: Option<&str>) -> Select<Entity> {
    let select = Entity::find().filter(Column::ReportId.eq(report_id));
    let Some(text) = search else { return select };
    let anywhere = [Column::Mobile, Column::GivenUser, Column::GivenCompany, Column::Author]
        .into_iter()
        .fold(Cond::any(), |any, column| any.add(sql::contains(column, text)));
    select.filter(anywhere)
}

/// One entry of a report.
pub async fn find(conn: &impl ConnectionTrait, report_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((report_id, id)).one(conn).await
}

/// One entry of a report for a change; its row stays locked until the transaction ends.
pub async fn find_for_update(tx: &WriteTx, report_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((report_id, id)).lock_exclusive().one(tx).await
}

/// Whose turn it is to add to a white list by mobile: two at once would both miss what the other adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The caller's, until its transaction ends.
    Mine,
    /// Somebody else's.
    Taken,
    /// There is no such report.
    NoReport,
}

/// Waits for the turn at the white list of a report. Who changes the report itself is not kept from it meanwhile.
pub async fn await_turn(tx: &WriteTx, report_id: i64) -> Result<Turn, DbErr> {
    let row = lock_turn(tx, report_id, "pg_advisory_xact_lock").await?;
    Ok(if row.is_some() { Turn::Mine } else { Turn::NoReport })
}

/// Takes the turn if nobody has it; PostgreSQL only.
pub async fn try_turn(tx: &WriteTx, report_id: i64) -> Result<Turn, DbErr> {
    let Some(row) = lock_turn(tx, report_id, "pg_try_advisory_xact_lock").await? else {
        return Ok(Turn::NoReport);
    };
    Ok(if row.try_get_by_index(0)? { Turn::Mine } else { Turn::Taken })
}

/// The answer of the lock; none when there is no report.
async fn lock_turn(tx: &WriteTx, report_id: i64, lock: &str) -> Result<Option<QueryResult>, DbErr> {
    let backend = tx.get_database_backend();
    let turn = match backend {
        DbBackend::Postgres => {
            format!("{lock}(hashtextextended(current_schema() || '.white_list', id))")
        }
        // Its one writer has every turn.
        _ => "1".into(),
    };
    let sql = format!("SELECT {turn} FROM report WHERE id = $1 AND deleted_at = 0");
    tx.query_one_raw(Statement::from_sql_and_values(backend, sql, [report_id.into()])).await
}

/// The entries of a report with one of these ids or mobiles, for a change, in order of id.
pub async fn find_many_for_update(
    tx: &WriteTx,
    report_id: i64,
    ids: &[i64],
    mobiles: &[&str],
) -> Result<Vec<Model>, DbErr> {
    if ids.is_empty() && mobiles.is_empty() {
        return Ok(Vec::new());
    }
    let (backend, sql) = dialect(
        tx,
        "SELECT * FROM white_list_entry WHERE report_id = $1
            AND (id IN (SELECT i::bigint FROM json_array_elements_text($2::json) AS i)
                OR mobile IN (SELECT m FROM json_array_elements_text($3::json) AS m))
         ORDER BY id FOR UPDATE",
        "SELECT * FROM white_list_entry WHERE report_id = $1
            AND (id IN (SELECT value FROM json_each($2)) OR mobile IN (SELECT value FROM json_each($3)))
         ORDER BY id",
    );
    let values = [report_id.into(), json(ids)?.into(), json(mobiles)?.into()];
    Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values)).all(tx).await
}

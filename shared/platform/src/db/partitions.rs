//! Tables that grow without bound are split by month on PostgreSQL, by ranges of their time-ordered ids; on
//! SQLite the same tables stay whole, and nothing here does anything (ADR 0007).
//!
//! Partitions are made ahead; what comes for a month that has none goes into the table's DEFAULT partition and is
//! moved into its month by the next turn, so that an insert never fails. Old months are detached ([`run_once`]): a
//! detached month is an ordinary table, to be archived. Only a service that forgets by its own settings drops them
//! ([`drop_before`]). Any number of replicas may do this at once.

mod month;

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement, Value};
use sea_orm_migration::SchemaManager;

use self::month::Month;
use super::{Db, WriteTx};
use crate::{
    clock::Clock,
    ids,
    lifecycle::{Turn, Worker},
};

/// Months that are made before they begin.
const AHEAD: i32 = 2;
/// How long a change of the tables' shape waits for those who use them; meanwhile others queue behind it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
const EVERY: Duration = Duration::from_secs(3600);

/// A table that is split by month. Its migration says `{{by_month column}}` and calls [`prepare`].
#[derive(Debug, Clone, Copy)]
pub struct Monthly {
    pub table: &'static str,
    /// What it is split by: an id of [`crate::ids`], a part of the primary key.
    pub column: &'static str,
    /// Unique indices that every partition has for itself, because they lack the column: name and what follows
    /// `ON partition`. They hold for the whole table when equal values always fall into one month, or when
    /// something else (a sequence) keeps them apart.
    pub unique: &'static [(&'static str, &'static str)],
    /// Storage parameters of each partition, as in `WITH (…)`: the table as a whole can have none. "" = none.
    pub storage: &'static str,
    /// A query about `{partition}`, which holds the ids from `{from}` to before `{to}`; while it answers a row, the
    /// month is in use and stays. "" = none.
    pub keep_while: &'static str,
}

impl Monthly {
    /// What follows the columns of a partition.
    fn with(&self) -> String {
        if self.storage.is_empty() { String::new() } else { format!(" WITH ({})", self.storage) }
    }
}

/// What becomes of an old month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Detach,
    Drop,
}

/// Replaces `{{by_month column}}` behind a table's closing parenthesis.
pub(super) fn by_month(sql: &str, postgres: bool) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, (column, after))) =
        rest.split_once("{{by_month ").and_then(|(b, r)| Some((b, r.split_once("}}")?)))
    {
        out.push_str(before);
        if postgres {
            out.push_str(&format!("PARTITION BY RANGE ({column})"));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Gives fresh tables their DEFAULT partitions; a part of the migration that makes them.
///
/// # Errors
/// The database.
pub async fn prepare(manager: &SchemaManager<'_>, tables: &[Monthly]) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for table in tables {
        let default = format!("{}_default", table.table);
        let sql = format!("CREATE TABLE {default} PARTITION OF {} DEFAULT{}", table.table, table.with());
        manager.get_connection().execute_unprepared(&sql).await?;
        for sql in own_indices(table, &default) {
            manager.get_connection().execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

fn own_indices<'a>(table: &'a Monthly, partition: &'a str) -> impl Iterator<Item = String> + 'a {
    let index = move |(name, on): &(&str, &str)| {
        format!("CREATE UNIQUE INDEX {partition}_{name} ON {partition} {on}")
    };
    table.unique.iter().map(index)
}

/// Makes the partitions of every month from `from_ms` to `to_ms`; answers how many were missing.
///
/// # Errors
/// The database; another partition that overlaps.
pub async fn ensure(db: &Db, tables: &[Monthly], from_ms: i64, to_ms: i64) -> Result<usize, DbErr> {
    let mut made = 0;
    if db.is_postgres() {
        for table in tables {
            // There are no ids from before the first of them.
            let first = Month::of(from_ms).max(Month::of_id(0));
            for month in first.0..=Month::of(to_ms).0 {
                made += usize::from(add(db, table, Month(month)).await?);
            }
        }
    }
    Ok(made)
}

/// Before a service serves: the months at hand. What hinders it is told and tried again by the worker; until
/// then the DEFAULT partition takes the rows.
pub async fn at_start(db: &Db, clock: &Clock, tables: &[Monthly]) {
    if let Err(e) = ensure_ahead(db, clock, tables).await {
        tracing::error!(error = %e, "partitions could not be made ahead; rows go into the default partition until they can");
    }
}

async fn ensure_ahead(db: &Db, clock: &Clock, tables: &[Monthly]) -> Result<usize, DbErr> {
    let now = clock.now_ms();
    ensure(db, tables, now, ids::made_at_ms(Month::of(now).plus(AHEAD).floor())).await
}

/// Makes months ahead, moves what fell into DEFAULT, detaches what is older than `keep_months` full months
/// (0 = nothing is). Answers the tables that were detached.
///
/// # Errors
/// The database; a lock that was not to be had in time. The next turn goes on.
pub async fn run_once(
    db: &Db,
    clock: &Clock,
    tables: &[Monthly],
    keep_months: u32,
) -> Result<Vec<String>, DbErr> {
    if !db.is_postgres() {
        return Ok(Vec::new());
    }
    ensure_ahead(db, clock, tables).await?;
    let now = Month::of(clock.now_ms());
    for table in tables {
        rehome(db, table, now.plus(AHEAD + 1).floor()).await?;
    }
    match i32::try_from(keep_months) {
        Ok(keep) if keep > 0 => end_before(db, tables, now.plus(-keep), End::Detach).await,
        _ => Ok(Vec::new()),
    }
}

/// Drops, from all `tables` together, the months that were over at `ms` (unix milliseconds) and are not in use, with
/// what DEFAULT holds of them. Answers the tables that were dropped.
///
/// # Errors
/// The database. That a month cannot be locked in time is none: a later call goes on.
pub async fn drop_before(db: &Db, tables: &[Monthly], ms: i64) -> Result<Vec<String>, DbErr> {
    if !db.is_postgres() {
        return Ok(Vec::new());
    }
    let oldest = Month::of(ms);
    for table in tables {
        rehome(db, table, oldest.floor()).await?;
    }
    end_before(db, tables, oldest, End::Drop).await
}

/// The smallest id of the month that `ms` (unix milliseconds) lies in.
pub fn first_id_of_month(ms: i64) -> i64 {
    Month::of(ms).floor()
}

/// The worker that does it every hour.
pub fn worker(db: &Db, clock: &Clock, tables: &'static [Monthly], keep_months: u32) -> Worker {
    let (db, clock) = (db.clone(), clock.clone());
    Worker::job("partitions", EVERY, None, move || {
        let (db, clock) = (db.clone(), clock.clone());
        async move { run_once(&db, &clock, tables, keep_months).await.map(|_| Turn::Idle) }
    })
}

/// Makes one month, with what DEFAULT holds of it. A table of that name that is not attached was detached
/// once: it is left alone.
async fn add(db: &Db, table: &Monthly, month: Month) -> Result<bool, DbErr> {
    let name = month.partition(table.table);
    if exists(db.conn(), &name).await? {
        return Ok(false);
    }
    let tx = begin(db, table).await?;
    if exists(&tx, &name).await? {
        return tx.rollback().await.map(|()| false);
    }
    let Monthly { table: parent, column, .. } = table;
    let (from, to) = (month.floor(), month.plus(1).floor());
    let like = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE";
    tx.execute_unprepared(&format!("CREATE TABLE {name} (LIKE {parent} {like}){}", table.with())).await?;
    // Nobody may add to DEFAULT what the new month should hold.
    tx.execute_unprepared(&format!("LOCK TABLE {parent}_default IN ACCESS EXCLUSIVE MODE")).await?;
    let stray = format!("{parent}_default WHERE {column} >= {from} AND {column} < {to}");
    if any(&tx, &format!("SELECT 1 AS one FROM {stray} LIMIT 1")).await? {
        // What is generated is generated again.
        let columns = columns(&tx, parent).await?;
        let moved = format!(
            "WITH moved AS (DELETE FROM {stray} RETURNING *)
             INSERT INTO {name} ({columns}) SELECT {columns} FROM moved"
        );
        let rows = tx.execute_unprepared(&moved).await?.rows_affected();
        tracing::warn!(partition = name, rows, "rows were moved from the default partition into their month");
    }
    for sql in own_indices(table, &name) {
        tx.execute_unprepared(&sql).await?;
    }
    let attach = format!("ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})");
    tx.execute_unprepared(&attach).await?;
    tx.commit().await?;
    Ok(true)
}

/// Begins a change of the table's shape: one at a time of all replicas, and none that waits long.
async fn begin(db: &Db, table: &Monthly) -> Result<WriteTx, DbErr> {
    let tx = db.write_tx().await?;
    tx.execute_unprepared(LOCK_TIMEOUT).await?;
    let turn = "SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.' || $1))";
    tx.execute_raw(statement(turn, [table.table.into()])).await?;
    Ok(tx)
}

/// Gives every month of which DEFAULT holds rows its partition; `below` is where the months ahead end.
async fn rehome(db: &Db, table: &Monthly, below: i64) -> Result<(), DbErr> {
    let Monthly { table: parent, column, .. } = table;
    let first =
        format!("SELECT min({column}) AS id FROM {parent}_default WHERE {column} >= $1 AND {column} < $2");
    let mut from = i64::MIN;
    while let Some(id) = optional_id(db, &first, [from.into(), below.into()]).await? {
        let month = Month::of_id(id);
        if !add(db, table, month).await? {
            tracing::warn!(
                table = parent,
                partition = month.partition(parent),
                "the default partition holds rows of a month that was detached; they stay there"
            );
        }
        from = month.plus(1).floor().max(id + 1);
    }
    Ok(())
}

/// Ends, in all `tables` together, the months before `oldest`.
async fn end_before(db: &Db, tables: &[Monthly], oldest: Month, end: End) -> Result<Vec<String>, DbErr> {
    let mut months = Vec::new();
    for table in tables {
        months.extend(attached(db.conn(), table).await?.into_iter().filter(|m| *m < oldest));
    }
    months.sort_unstable();
    months.dedup();
    let mut ended = Vec::new();
    for month in months {
        match end_month(db, tables, month, end).await {
            // Whoever reads for that long (a backup) goes on; to wait again now would hold up all others again.
            Err(e) if is_lock_timeout(&e) => {
                tracing::warn!(table = tables[0].table, error = %e, "a month beyond the retention cannot be locked and stays for now");
                break;
            }
            done => ended.extend(done?),
        }
    }
    Ok(ended)
}

/// Ends a month, unless a table still needs it. What its rows mean together goes together.
async fn end_month(db: &Db, tables: &[Monthly], month: Month, end: End) -> Result<Vec<String>, DbErr> {
    let tx = begin(db, &tables[0]).await?;
    let having = having(&tx, tables, month).await?;
    // Asked before the tables are locked, too: a month that stays for long holds up nobody.
    if in_use(&tx, &having, month).await? {
        return tx.rollback().await.map(|()| Vec::new());
    }
    for table in &having {
        // The parent first, as everybody locks them, and held until the end: what is asked next stays true.
        tx.execute_unprepared(&format!("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE", table.table)).await?;
    }
    if in_use(&tx, &having, month).await? {
        return tx.rollback().await.map(|()| Vec::new());
    }
    let mut names = Vec::new();
    for table in having {
        let name = month.partition(table.table);
        let sql = match end {
            End::Detach => format!("ALTER TABLE {} DETACH PARTITION {name}", table.table),
            End::Drop => format!("DROP TABLE {name}"),
        };
        tx.execute_unprepared(&sql).await?;
        names.push(name);
    }
    tx.commit().await?;
    match end {
        End::Detach => {
            tracing::warn!(tables = ?names, "a month beyond the retention was detached: archive these tables, then drop them");
        }
        End::Drop => tracing::info!(tables = ?names, "a month beyond the retention was dropped"),
    }
    Ok(names)
}

/// Does one of the tables that have the month still need it?
async fn in_use(tx: &WriteTx, having: &[&Monthly], month: Month) -> Result<bool, DbErr> {
    for table in having {
        let name = month.partition(table.table);
        let asked = table
            .keep_while
            .replace("{partition}", &name)
            .replace("{from}", &month.floor().to_string())
            .replace("{to}", &month.plus(1).floor().to_string());
        if !asked.is_empty() && any(tx, &asked).await? {
            tracing::info!(partition = name, "a month beyond the retention is still in use and stays");
            return Ok(true);
        }
    }
    Ok(false)
}

/// The tables that have this month.
async fn having<'a>(tx: &WriteTx, tables: &'a [Monthly], month: Month) -> Result<Vec<&'a Monthly>, DbErr> {
    let mut having = Vec::new();
    for table in tables {
        if attached(tx, table).await?.contains(&month) {
            having.push(table);
        }
    }
    Ok(having)
}

fn is_lock_timeout(e: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e))) = e else {
        return false;
    };
    e.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "55P03")
}

/// The columns of a table that are written, comma-separated.
async fn columns(tx: &WriteTx, table: &str) -> Result<String, DbErr> {
    let sql = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS names FROM pg_attribute
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";
    let row = tx.query_one_raw(statement(sql, [table.into()])).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(table.into()))?.try_get("", "names")
}

/// The months that are attached.
async fn attached<C: ConnectionTrait>(conn: &C, table: &Monthly) -> Result<Vec<Month>, DbErr> {
    let sql = "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass($1)";
    let rows = conn.query_all_raw(statement(sql, [table.table.into()])).await?;
    let names = rows.iter().map(|r| r.try_get("", "name")).collect::<Result<Vec<String>, _>>()?;
    Ok(names.iter().filter_map(|name| Month::of_partition(table.table, name)).collect())
}

async fn exists<C: ConnectionTrait>(conn: &C, table: &str) -> Result<bool, DbErr> {
    // A query of the catalogue: `to_regclass` may answer from before the lock that was waited for.
    let sql = "SELECT 1 AS one FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relname = $1";
    Ok(conn.query_one_raw(statement(sql, [table.into()])).await?.is_some())
}

async fn any<C: ConnectionTrait>(conn: &C, sql: &str) -> Result<bool, DbErr> {
    Ok(conn.query_one_raw(statement(sql, [])).await?.is_some())
}

async fn optional_id<const N: usize>(db: &Db, sql: &str, values: [Value; N]) -> Result<Option<i64>, DbErr> {
    let row = db.conn().query_one_raw(statement(sql, values)).await?;
    row.map_or(Ok(None), |row| row.try_get("", "id"))
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_makes_split_and_whole_tables() {
        let sql = "CREATE TABLE a (x BIGINT){{by_month x}};\nCREATE TABLE b (y BIGINT){{by_month y}};";
        assert_eq!(by_month(sql, false), "CREATE TABLE a (x BIGINT);\nCREATE TABLE b (y BIGINT);");
        assert_eq!(
            by_month(sql, true),
            "CREATE TABLE a (x BIGINT)PARTITION BY RANGE (x);\nCREATE TABLE b (y BIGINT)PARTITION BY RANGE (y);"
        );
    }
}

//! After a change of envelope keys: every sealed value under an old key is sealed again under the present one, page
//! by page while all goes on, so that the old key can be dropped. `rotate-keys` runs it on demand, a worker of every
//! service that has such columns once an hour.
//!
//! A value is swapped only if it is still as it was read. Whatever ends a run, the next one goes on with what is
//! left: what is under the present key is passed over. A value whose key is gone stays and is told as an error.

use std::time::Duration;

use contracts::routes::ServiceName;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    Platform,
    db::{Db, Plans, WriteTx},
    lifecycle::{Turn, Worker},
    seal::Sealer,
    service::StartError,
    settings::Settings,
};

/// Values of one transaction.
const PAGE: i64 = 500;

/// A column of sealed values, and what each is sealed for. An empty text is no value.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// A table with a numeric `id`.
    pub table: &'static str,
    pub name: &'static str,
    /// SQL for the text the context is made of.
    pub of: &'static str,
    pub context: fn(&str) -> String,
}

/// What a run found in one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Values, and those that are under the present key now.
    pub values: u64,
    pub present: u64,
    /// Of `present`, those that this run has sealed again.
    pub rewrapped: u64,
    /// Cannot be opened: their key is gone, or they are damaged.
    pub broken: u64,
}

impl Count {
    /// Whether an old key is still needed for this column.
    pub fn is_done(self) -> bool {
        self.values == self.present
    }
}

struct Value {
    id: i64,
    /// What its context is made of.
    place: String,
    sealed: String,
}

#[derive(Serialize)]
struct Swap {
    id: i64,
    seen: String,
    again: String,
}

/// Whether values are written or only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Rewrap,
    Count,
}

/// Seals all values of `columns` that lie under old keys again; a count for each column, in their order.
///
/// # Errors
/// The database is away; what was done stays done.
pub async fn run(db: &Db, sealer: &Sealer, columns: &[Column], mode: Mode) -> Result<Vec<Count>, DbErr> {
    let mut counts = Vec::with_capacity(columns.len());
    for column in columns {
        counts.push(one(db, sealer, column, mode).await?);
    }
    Ok(counts)
}

async fn one(db: &Db, sealer: &Sealer, column: &Column, mode: Mode) -> Result<Count, DbErr> {
    let count = pass(db, sealer, column, mode).await?;
    if mode == Mode::Count || count.values == count.present + count.broken {
        return Ok(count);
    }
    // Somebody, another replica's worker for one, wrote what had been read: what stands there now counts.
    Ok(Count { rewrapped: count.rewrapped, ..pass(db, sealer, column, Mode::Count).await? })
}

async fn pass(db: &Db, sealer: &Sealer, column: &Column, mode: Mode) -> Result<Count, DbErr> {
    let (mut count, mut after) = (Count::default(), i64::MIN);
    loop {
        let values = page(db, column, after).await?;
        let Some(last) = values.last() else { return Ok(count) };
        after = last.id;
        count.values += values.len() as u64;
        let swaps = seal_again(sealer, column, &values, &mut count);
        if mode == Mode::Rewrap && !swaps.is_empty() {
            let tx = db.write_tx().await?;
            let swapped = swap(&tx, column, &swaps).await?;
            tx.commit().await?;
            count.rewrapped += swapped;
            count.present += swapped;
        }
    }
}

/// What is under an old key, sealed anew.
fn seal_again(sealer: &Sealer, column: &Column, values: &[Value], count: &mut Count) -> Vec<Swap> {
    let mut swaps = Vec::new();
    for value in values {
        if !sealer.needs_rewrap(&value.sealed) {
            count.present += 1;
            continue;
        }
        let context = (column.context)(&value.place);
        match sealer.open_bytes(&context, &value.sealed) {
            Ok(plain) => swaps.push(Swap {
                id: value.id,
                seen: value.sealed.clone(),
                again: sealer.seal(&context, plain.expose_secret()),
            }),
            Err(e) => {
                count.broken += 1;
                tracing::error!(table = column.table, column = column.name, id = value.id, error = %e, "a secret cannot be sealed again");
            }
        }
    }
    swaps
}

async fn page(db: &Db, column: &Column, after: i64) -> Result<Vec<Value>, DbErr> {
    let Column { table, of, name, .. } = column;
    let text = format!(
        "SELECT id, {of} AS place, {name} AS sealed FROM {table} WHERE {name} <> '' AND id > $1 ORDER BY id LIMIT {PAGE}"
    );
    let conn = db.conn();
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), text, [after.into()]);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| {
            let sealed = row.try_get("", "sealed")?;
            Ok(Value { id: row.try_get("", "id")?, place: row.try_get("", "place")?, sealed })
        })
        .collect()
}

/// Puts the values in; answers how many were still as they had been read.
async fn swap(tx: &WriteTx, column: &Column, swaps: &[Swap]) -> Result<u64, DbErr> {
    let Column { table, name, .. } = column;
    let backend = tx.get_database_backend();
    let rows = match backend {
        DbBackend::Postgres => "json_to_recordset($1::json) AS r(id bigint, seen text, again text)",
        _ => {
            "(SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.seen') AS seen,
                json_extract(value, '$.again') AS again FROM json_each($1)) AS r"
        }
    };
    let text = format!(
        "UPDATE {table} SET {name} = r.again FROM {rows} WHERE {table}.id = r.id AND {table}.{name} = r.seen"
    );
    let swaps = serde_json::to_string(swaps).map_err(|e| DbErr::Custom(e.to_string()))?;
    let done = tx.execute_raw(Statement::from_sql_and_values(backend, text, [swaps.into()])).await?;
    Ok(done.rows_affected())
}

/// The command `rotate-keys` for one service beside its running replicas: opens its database and nothing else.
/// Answers a line for each column, and whether no old key is needed any more.
///
/// # Errors
/// The database or the keys cannot be used.
pub async fn command(
    settings: &Settings,
    service: ServiceName,
    columns: &[Column],
    mode: Mode,
) -> Result<(Vec<String>, bool), StartError> {
    let name = service.as_str();
    let database = |source| StartError::Database { service: name, source };
    let db = Db::connect_patiently(&settings.database.for_service(name, &settings.data_dir), Plans::Free)
        .await
        .map_err(database)?;
    let keys = settings.envelope_keys().into_iter().map(|k| (k.id, k.secret)).collect();
    let sealer = Sealer::new(keys).map_err(|e| StartError::Settings(format!("keys.envelope: {e}")))?;
    let counts = run(&db, &sealer, columns, mode).await;
    db.close().await.map_err(database)?;
    let counts = counts.map_err(database)?;
    let lines = columns.iter().zip(&counts).map(|(column, count)| {
        format!(
            "{name}: {}.{}: {} values, {} under the present key ({} sealed again now), {} unreadable",
            column.table, column.name, count.values, count.present, count.rewrapped, count.broken
        )
    });
    Ok((lines.collect(), counts.iter().all(|count| count.is_done())))
}

/// The worker that keeps a service's secrets under the present key.
pub fn worker(platform: &Platform, columns: &'static [Column]) -> Worker {
    let (db, sealer) = (platform.db.clone(), platform.sealer.clone());
    Worker::job("rewrap-keys", Duration::from_secs(3600), None, move || {
        let (db, sealer) = (db.clone(), sealer.clone());
        async move { run(&db, &sealer, columns, Mode::Rewrap).await.map(|_| Turn::Idle) }
    })
}

//! A small service of its own for these tests: one table of numbers that a consumer fills.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use contracts::{event::Event, events::ReportChanged, routes::ServiceName};
use platform::{
    Platform,
    db::{Db, PlatformTables, WriteTx, script},
    inbox::{Consumer, HandleError, Handling, InboxConsumer},
};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait,
};
use testing::TestBed;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(PlatformTables), Box::new(Tables)]
    }
}

struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &str {
        "m20261121_000001_seen"
    }
}

#[async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        script(
            manager,
            "CREATE TABLE seen (id {{identity}}, report_id BIGINT NOT NULL, version BIGINT NOT NULL);
             CREATE TABLE counter (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
             INSERT INTO counter (id, n) VALUES (1, 0);",
        )
        .await
    }
}

pub async fn platform(bed: &TestBed) -> Platform {
    Platform::start::<Migrator>(&bed.shared, ServiceName::Order).await.unwrap()
}

/// Writes every event it is given; refuses those whose title says so.
#[derive(Clone, Default)]
pub struct Seen {
    pub refusals: Arc<AtomicU32>,
}

impl Consumer for Seen {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            for event in events {
                let report: ReportChanged = event.read()?;
                if report.title == "poison" {
                    self.refusals.fetch_add(1, Ordering::SeqCst);
                    return Err(HandleError::Rejected("poison".into()));
                }
                let sql = "INSERT INTO seen (report_id, version) VALUES ($1, $2)";
                let values = [report.id.into(), report.version.into()];
                tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
                    .await?;
            }
            Ok(())
        })
    }
}

pub fn consumer(platform: &Platform, seen: &Seen) -> InboxConsumer {
    InboxConsumer::new("order.reports", platform.db.clone(), platform.clock.clone(), seen.clone())
}

pub fn report(id: i64, version: i64, title: &str) -> ReportChanged {
    ReportChanged {
        id,
        version,
        title: title.into(),
        cover: String::new(),
        price_fen: 100,
        read_count: 1,
        status: 1,
        deleted: false,
    }
}

/// Appends one event in a transaction of its own.
pub async fn append(platform: &Platform, event: &ReportChanged) {
    let tx = platform.db.write_tx().await.unwrap();
    platform.outbox.append(&tx, event.id.to_string(), event).await.unwrap();
    tx.commit().await.unwrap();
}

/// (report, version) in order of arrival.
pub async fn arrived(db: &Db) -> Vec<(i64, i64)> {
    let backend = db.conn().get_database_backend();
    let rows = db
        .conn()
        .query_all_raw(Statement::from_string(backend, "SELECT report_id, version FROM seen ORDER BY id"))
        .await
        .unwrap();
    rows.iter().map(|r| (r.try_get("", "report_id").unwrap(), r.try_get("", "version").unwrap())).collect()
}

pub async fn count(db: &Db, table: &str) -> i64 {
    let backend = db.conn().get_database_backend();
    let sql = format!("SELECT count(*) AS n FROM {table}");
    let row = db.conn().query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

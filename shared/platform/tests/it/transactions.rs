use platform::db::{Db, Plans, migrate};
use sea_orm::{ConnectionTrait, Statement};
use testing::{Mode, TestBed};

use crate::bench_table::{Migrator, append, count, platform, report};

/// Read, then write what was read plus one: the pattern that fails on SQLite with its default begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_read_then_write_transactions_all_count() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let db = platform.db.clone();
            platform::lifecycle::spawn(async move {
                let tx = db.write_tx().await?;
                let backend = tx.get_database_backend();
                let lock = if db.is_postgres() { " FOR UPDATE" } else { "" };
                let sql = format!("SELECT n FROM counter WHERE id = 1{lock}");
                let row = tx.query_one_raw(Statement::from_string(backend, sql)).await?.unwrap();
                let n: i64 = row.try_get("", "n")?;
                let sql = "UPDATE counter SET n = $1 WHERE id = 1";
                tx.execute_raw(Statement::from_sql_and_values(backend, sql, [(n + 1).into()])).await?;
                tx.commit().await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let backend = platform.db.conn().get_database_backend();
    let row = platform
        .db
        .conn()
        .query_one_raw(Statement::from_string(backend, "SELECT n FROM counter"))
        .await
        .unwrap();
    assert_eq!(row.unwrap().try_get::<i64>("", "n").unwrap(), 200);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_transaction_leaves_neither_row_nor_event() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let tx = platform.db.write_tx().await.unwrap();
    tx.execute_unprepared("UPDATE counter SET n = 7").await.unwrap();
    platform.outbox.append(&tx, "1".into(), &report(1, 1, "lost")).await.unwrap();
    drop(tx);
    assert_eq!(count(&platform.db, "outbox").await, 0);
    assert_eq!(count(&platform.db, "counter WHERE n = 0").await, 1);
    append(&platform, &report(1, 1, "kept")).await;
    assert_eq!(count(&platform.db, "outbox").await, 1);
    bed.finish().await;
}

/// Four replicas find an empty database at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_once() {
    let bed = TestBed::new().await;
    let settings = &bed.shared.settings;
    // On SQLite there is one process; the second start of it finds nothing to do.
    let replicas = if Mode::current() == Mode::Distributed { 4 } else { 1 };
    let starts: Vec<_> = (0..replicas)
        .map(|_| {
            let database = settings.database.for_service("sync", &settings.data_dir);
            platform::lifecycle::spawn(async move {
                let db = Db::connect(&database, Plans::Free).await?;
                migrate::<Migrator>(&db).await.map(|()| db)
            })
        })
        .collect();
    let mut replicas = Vec::new();
    for start in starts {
        replicas.push(start.await.unwrap().unwrap());
    }
    for db in &replicas {
        migrate::<Migrator>(db).await.unwrap();
        assert_eq!(count(db, "counter").await, 1);
    }
    bed.finish().await;
}

use contracts::routes::ServiceName;
use platform::{
    Platform,
    clock::Clock,
    db::{
        Db, PlatformTables,
        partitions::{self, Monthly},
        script,
    },
    ids,
};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait,
};
use testing::TestBed;

use crate::bench_table::count;

static TABLES: [Monthly; 2] = [
    Monthly {
        table: "measure",
        column: "id",
        unique: &[("word", "(word)")],
        storage: "fillfactor = 75",
        keep_while: "SELECT 1 AS one FROM {partition} WHERE open LIMIT 1",
    },
    Monthly {
        table: "detail",
        column: "measure_id",
        unique: &[],
        storage: "",
        keep_while: "SELECT 1 AS one FROM detail_queue WHERE measure_id >= {from} AND measure_id < {to} LIMIT 1",
    },
];

struct Split;

impl MigratorTrait for Split {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(PlatformTables), Box::new(SplitTables)]
    }
}

struct SplitTables;

impl MigrationName for SplitTables {
    fn name(&self) -> &str {
        "m20261121_000002_split"
    }
}

#[async_trait]
impl MigrationTrait for SplitTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        script(
            manager,
            "CREATE TABLE measure (id BIGINT PRIMARY KEY, word TEXT NOT NULL, open BOOLEAN NOT NULL DEFAULT FALSE,
                length BIGINT GENERATED ALWAYS AS (length(word)) STORED)
                {{by_month id}};
            CREATE INDEX measure_open ON measure (id) WHERE open;
            CREATE TABLE detail (measure_id BIGINT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (measure_id, n))
                {{by_month measure_id}};
            CREATE TABLE detail_queue (measure_id BIGINT NOT NULL PRIMARY KEY);",
        )
        .await?;
        partitions::prepare(manager, &TABLES).await
    }
}

/// 2026-11-21.
const NOW_MS: i64 = 1_795_269_845_026;
const DAY_MS: i64 = 86_400_000;

async fn start(bed: &TestBed) -> Db {
    Platform::start::<Split>(&bed.shared, ServiceName::Order).await.unwrap().db
}

async fn run(db: &Db, sql: &str) -> Result<u64, DbErr> {
    let tx = db.write_tx().await?;
    let done = tx.execute_unprepared(sql).await?.rows_affected();
    tx.commit().await?;
    Ok(done)
}

async fn insert(db: &Db, ms: i64, word: &str, open: bool) -> i64 {
    let id = ids::floor_at(ms);
    run(db, &format!("INSERT INTO measure (id, word, open) VALUES ({id}, '{word}', {open})")).await.unwrap();
    run(db, &format!("INSERT INTO detail (measure_id, n) VALUES ({id}, 1)")).await.unwrap();
    id
}

/// Which partition holds the row; whole tables answer their own name.
async fn place(db: &Db, table: &str, column: &str, id: i64) -> String {
    if !db.is_postgres() {
        return table.to_owned();
    }
    let sql = format!("SELECT tableoid::regclass::text AS place FROM {table} WHERE {column} = {id}");
    let backend = db.conn().get_database_backend();
    let row = db.conn().query_one_raw(Statement::from_string(backend, sql)).await.unwrap();
    row.map_or_else(|| "nowhere".into(), |row| row.try_get("", "place").unwrap())
}

async fn attached(db: &Db, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '{table}'::regclass ORDER BY 1"
    );
    let backend = db.conn().get_database_backend();
    let rows = db.conn().query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_make_months_ahead_together_and_no_insert_fails_for_want_of_one() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    let replicas: Vec<_> = (0..4)
        .map(|_| {
            let (db, clock) = (db.clone(), clock.clone());
            platform::lifecycle::spawn(async move { partitions::run_once(&db, &clock, &TABLES, 0).await })
        })
        .collect();
    for replica in replicas {
        assert!(replica.await.unwrap().unwrap().is_empty(), "nothing is detached by default");
    }
    let (long_ago, now, far) = (
        insert(&db, NOW_MS - 400 * DAY_MS, "long ago", false).await,
        insert(&db, NOW_MS, "now", false).await,
        insert(&db, NOW_MS + 300 * DAY_MS, "far", false).await,
    );
    assert_eq!(count(&db, "measure").await, 3);
    if !db.is_postgres() {
        return bed.finish().await;
    }
    let months = ["measure_default", "measure_p202611", "measure_p202612", "measure_p202701"];
    assert_eq!(attached(&db, "measure").await, months);
    for id in [long_ago, far] {
        assert_eq!(place(&db, "measure", "id", id).await, "measure_default");
    }
    assert_eq!(place(&db, "measure", "id", now).await, "measure_p202611");
    // The next turn puts what is past in its place; a year that has not come stays where it is.
    partitions::run_once(&db, &clock, &TABLES, 0).await.unwrap();
    assert_eq!(place(&db, "measure", "id", long_ago).await, "measure_p202510");
    assert_eq!(place(&db, "detail", "measure_id", long_ago).await, "detail_p202510");
    assert_eq!(place(&db, "measure", "id", far).await, "measure_default");
    // Nobody ran for ten months.
    clock.advance_ms(300 * DAY_MS);
    partitions::run_once(&db, &clock, &TABLES, 0).await.unwrap();
    assert_eq!(place(&db, "measure", "id", far).await, "measure_p202709");
    assert_eq!(attached(&db, "detail").await.last().unwrap(), "detail_p202711");
    assert_eq!(count(&db, "measure WHERE length = length(word)").await, 3, "no row is lost on the way");
    assert_eq!(count(&db, "ONLY measure_default").await, 0);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_unique_index_holds_in_every_month_and_survives_the_move_from_default() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    partitions::at_start(&db, &clock, &TABLES).await;
    if !db.is_postgres() {
        return bed.finish().await;
    }
    insert(&db, NOW_MS, "a", false).await;
    insert(&db, NOW_MS - 100 * DAY_MS, "b", false).await;
    for (days, word) in [(0, "a"), (-100, "b")] {
        let id = ids::floor_at(NOW_MS + days * DAY_MS) + 1;
        for _ in 0..2 {
            let again = run(&db, &format!("INSERT INTO measure (id, word) VALUES ({id}, '{word}')")).await;
            let error = again.expect_err("the same word twice in a month");
            assert!(
                matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))),
                "{error}"
            );
            partitions::run_once(&db, &clock, &TABLES, 0).await.unwrap();
        }
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_beyond_the_retention_are_detached_together_once_nobody_needs_them_and_stay_as_tables() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    for (days, open) in [(-300, false), (-200, true), (-93, false), (0, false)] {
        insert(&db, NOW_MS + days * DAY_MS, &format!("{days}"), open).await;
    }
    let detached = partitions::run_once(&db, &clock, &TABLES, 3).await.unwrap();
    if !db.is_postgres() {
        assert!(detached.is_empty());
        assert_eq!(count(&db, "measure").await, 4);
        return bed.finish().await;
    }
    assert_eq!(detached, ["measure_p202601", "detail_p202601"], "three full months and what is in use stay");
    assert_eq!(count(&db, "measure").await, 3);
    assert_eq!(count(&db, "measure_p202601").await, 1, "a detached month is a table");
    assert_eq!(count(&db, "detail_p202601").await, 1);
    assert!(partitions::run_once(&db, &clock, &TABLES, 3).await.unwrap().is_empty(), "once is once");
    run(&db, "UPDATE measure SET open = FALSE").await.unwrap();
    let detached = partitions::run_once(&db, &clock, &TABLES, 3).await.unwrap();
    assert_eq!(detached, ["measure_p202605", "detail_p202605"]);
    // A latecomer of a month that is gone is kept all the same.
    insert(&db, NOW_MS - 300 * DAY_MS, "late", false).await;
    assert!(partitions::run_once(&db, &clock, &TABLES, 3).await.unwrap().is_empty());
    assert_eq!(count(&db, "measure WHERE word = 'late'").await, 1);
    assert_eq!(count(&db, "measure_p202601").await, 1, "what was detached is not touched again");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_partition_has_the_storage_parameters() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    partitions::at_start(&db, &clock, &TABLES).await;
    if db.is_postgres() {
        let those = |like: &str| {
            format!("pg_class WHERE relnamespace = current_schema()::regnamespace AND relname LIKE '{like}'")
        };
        let set = "AND relkind = 'r' AND reloptions = '{fillfactor=75}'";
        assert_eq!(
            count(&db, &format!("{} {set}", those("measure%"))).await,
            4,
            "three months and the default"
        );
        assert_eq!(count(&db, &format!("{} AND reloptions IS NOT NULL", those("detail%"))).await, 0);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_that_were_over_are_dropped_together_with_their_strays_unless_they_are_in_use() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    let mut ids = Vec::new();
    // 2026-04, 2026-05, 2026-08; none of them has its month yet.
    for days in [-220, -190, -100] {
        ids.push(insert(&db, NOW_MS + days * DAY_MS, &format!("{days}"), false).await);
    }
    run(&db, &format!("INSERT INTO detail_queue (measure_id) VALUES ({})", ids[1])).await.unwrap();
    // In the middle of August.
    let limit = NOW_MS - 98 * DAY_MS;
    let dropped = partitions::drop_before(&db, &TABLES, limit).await.unwrap();
    if !db.is_postgres() {
        assert!(dropped.is_empty());
        assert_eq!(count(&db, "measure").await, 3);
        return bed.finish().await;
    }
    assert_eq!(dropped, ["measure_p202604", "detail_p202604"], "May is in use, August is not over");
    assert_eq!((count(&db, "measure").await, count(&db, "detail").await), (2, 2));
    assert_eq!(place(&db, "measure", "id", ids[1]).await, "measure_p202605");
    assert_eq!(place(&db, "measure", "id", ids[2]).await, "measure_default", "its time has not come");
    run(&db, "DELETE FROM detail_queue").await.unwrap();
    assert_eq!(
        partitions::drop_before(&db, &TABLES, limit).await.unwrap(),
        ["measure_p202605", "detail_p202605"]
    );
    assert!(partitions::drop_before(&db, &TABLES, limit).await.unwrap().is_empty(), "once is once");
    assert!(partitions::first_id_of_month(limit) <= ids[2] && ids[1] < partitions::first_id_of_month(limit));
    // What comes late for a dropped month is kept until the next turn.
    insert(&db, NOW_MS - 190 * DAY_MS, "late", false).await;
    assert_eq!(partitions::drop_before(&db, &TABLES, limit).await.unwrap().len(), 2);
    assert_eq!(count(&db, "measure").await, 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_is_being_read_stays_for_now_and_hinders_nothing_else() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = start(&bed).await;
    if !db.is_postgres() {
        return bed.finish().await;
    }
    insert(&db, NOW_MS - 190 * DAY_MS, "old", false).await;
    partitions::run_once(&db, &clock, &TABLES, 0).await.unwrap();
    let reader = db.write_tx().await.unwrap();
    reader.execute_unprepared("SELECT count(*) FROM measure").await.unwrap();
    assert!(partitions::drop_before(&db, &TABLES, NOW_MS).await.unwrap().is_empty());
    assert!(partitions::run_once(&db, &clock, &TABLES, 3).await.unwrap().is_empty());
    reader.rollback().await.unwrap();
    assert_eq!(partitions::drop_before(&db, &TABLES, NOW_MS).await.unwrap().len(), 2);
    bed.finish().await;
}

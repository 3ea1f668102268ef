//! One database, `baodan_test`, made when missing; a schema per bed and service, dropped with the bed. A table
//! of beds tells what runs that died have left behind.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement, Value,
};
use secrecy::SecretString;
use url::Url;

use crate::{mode, tap};

const DATABASE: &str = "baodan_test";
/// Keys of advisory locks, so that test processes starting together do not meet.
const LOCK_CREATE: i64 = 7_203_001;
const LOCK_SWEEP: i64 = 7_203_002;
/// No test runs this long; what is older was left behind.
const LEFTOVER_SECONDS: i64 = 3600;

/// The harness's own connection to `baodan_test`.
pub(crate) struct Postgres {
    conn: DatabaseConnection,
    bed: String,
}

fn address(database: &str) -> String {
    let mut url = Url::parse(&mode::postgres_url()).expect("BAODAN_TEST_PG_URL is postgres://user@host:port");
    url.set_path(database);
    url.into()
}

/// Where services connect to.
pub(crate) fn service_url() -> SecretString {
    address(DATABASE).into()
}

async fn connect(database: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(address(database));
    options.max_connections(1).connect_timeout(Duration::from_secs(5)).sqlx_logging(false);
    Database::connect(options).await
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

impl Postgres {
    /// Registers a bed, making database and table when they are missing, and sweeps up after the dead.
    pub async fn register(bed: &str) -> Result<Self, DbErr> {
        let conn = match connect(DATABASE).await {
            Ok(conn) => conn,
            Err(_) => {
                create_database().await?;
                connect(DATABASE).await?
            }
        };
        let found = conn
            .query_one_raw(statement("SELECT 1 AS one WHERE to_regclass('public.bed') IS NOT NULL", []))
            .await?;
        if found.is_none() {
            create_table(&conn).await?;
        }
        let insert = "INSERT INTO public.bed (id, started_at) VALUES ($1, extract(epoch FROM now())::bigint)
            ON CONFLICT (id) DO NOTHING";
        conn.execute_raw(statement(insert, [bed.into()])).await?;
        sweep(&conn).await?;
        Ok(Self { conn, bed: bed.into() })
    }

    /// Leaves the bed registered: its processes live on.
    pub async fn close(self) -> Result<(), DbErr> {
        self.conn.close().await
    }

    /// Drops the bed's schemas and forgets it.
    pub async fn drop_bed(self) -> Result<(), DbErr> {
        drop_schemas(&self.conn, &self.bed).await?;
        forget(&self.conn, &self.bed).await?;
        self.conn.close().await
    }
}

async fn create_database() -> Result<(), DbErr> {
    let server = connect("postgres").await?;
    server.execute_raw(statement("SELECT pg_advisory_lock($1)", [LOCK_CREATE.into()])).await?;
    let there = server
        .query_one_raw(statement("SELECT 1 AS one FROM pg_database WHERE datname = $1", [DATABASE.into()]))
        .await?;
    if there.is_none() {
        server.execute_unprepared(&format!("CREATE DATABASE {DATABASE}")).await?;
        // What a test commits need not survive a power cut; it runs three times as fast without.
        server.execute_unprepared(&format!("ALTER DATABASE {DATABASE} SET synchronous_commit = off")).await?;
    }
    server.close().await
}

async fn create_table(conn: &DatabaseConnection) -> Result<(), DbErr> {
    conn.execute_raw(statement("SELECT pg_advisory_lock($1)", [LOCK_CREATE.into()])).await?;
    conn.execute_unprepared(
        "CREATE TABLE IF NOT EXISTS public.bed (id TEXT PRIMARY KEY, started_at BIGINT NOT NULL)",
    )
    .await?;
    conn.execute_raw(statement("SELECT pg_advisory_unlock($1)", [LOCK_CREATE.into()])).await.map(|_| ())
}

/// Drops the schemas and queues of beds whose process died before its end. One process at a time.
async fn sweep(conn: &DatabaseConnection) -> Result<(), DbErr> {
    let old = "SELECT id FROM public.bed WHERE started_at < extract(epoch FROM now())::bigint - $1 LIMIT 50";
    let rows = conn.query_all_raw(statement(old, [LEFTOVER_SECONDS.into()])).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let lock = statement("SELECT pg_try_advisory_lock($1) AS got", [LOCK_SWEEP.into()]);
    let got = conn.query_one_raw(lock).await?.is_some_and(|row| row.try_get("", "got").unwrap_or(false));
    if !got {
        return Ok(());
    }
    let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<String>, _>>()?;
    tap::delete_queues(&mode::amqp_url(), &ids).await.map_err(|e| DbErr::Custom(e.to_string()))?;
    for id in &ids {
        drop_schemas(conn, id).await?;
        forget(conn, id).await?;
    }
    conn.execute_raw(statement("SELECT pg_advisory_unlock($1)", [LOCK_SWEEP.into()])).await.map(|_| ())
}

async fn drop_schemas(conn: &DatabaseConnection, bed: &str) -> Result<(), DbErr> {
    let sql = "SELECT nspname::text AS name FROM pg_namespace WHERE starts_with(nspname, $1)";
    for row in conn.query_all_raw(statement(sql, [format!("{bed}_").into()])).await? {
        let name: String = row.try_get("", "name")?;
        conn.execute_unprepared(&format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE")).await?;
    }
    Ok(())
}

async fn forget(conn: &DatabaseConnection, bed: &str) -> Result<(), DbErr> {
    conn.execute_raw(statement("DELETE FROM public.bed WHERE id = $1", [bed.into()])).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn schemas(bed: &str) -> usize {
        let conn = connect(DATABASE).await.expect("PostgreSQL");
        let sql = "SELECT nspname::text AS name FROM pg_namespace WHERE starts_with(nspname, $1)";
        conn.query_all_raw(statement(sql, [bed.into()])).await.expect("a list").len()
    }

    async fn register_with_schema(bed: &str) -> Postgres {
        let postgres = Postgres::register(bed).await.expect("PostgreSQL");
        let sql = format!("CREATE SCHEMA \"{bed}_order\"; CREATE TABLE \"{bed}_order\".thing (id INT)");
        postgres.conn.execute_unprepared(&sql).await.expect("a schema");
        assert_eq!(schemas(bed).await, 1);
        postgres
    }

    fn unique(name: &str) -> String {
        format!("t{name}{}", std::process::id())
    }

    #[tokio::test]
    async fn a_bed_leaves_no_schema_behind() {
        let bed = unique("gone");
        register_with_schema(&bed).await.drop_bed().await.expect("dropped");
        assert_eq!(schemas(&bed).await, 0);
    }

    #[tokio::test]
    async fn what_a_dead_run_left_is_swept_and_what_is_young_stays() {
        let (old, young) = (unique("old"), unique("young"));
        let dead = register_with_schema(&old).await;
        let living = register_with_schema(&young).await;
        let sql = "UPDATE public.bed SET started_at = started_at - 3700 WHERE id = $1";
        dead.conn.execute_raw(statement(sql, [old.as_str().into()])).await.expect("aged");
        dead.conn.close().await.expect("the run dies");
        // Another process may be the one that sweeps it at this very moment.
        crate::wait_until("the sweep", async || {
            let next = Postgres::register(&unique("next")).await.expect("PostgreSQL");
            next.drop_bed().await.expect("dropped");
            schemas(&old).await == 0
        })
        .await;
        assert_eq!(schemas(&young).await, 1);
        living.drop_bed().await.expect("dropped");
    }
}

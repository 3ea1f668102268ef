//! The database of one service: PostgreSQL or SQLite behind SeaORM, one helper for writing transactions,
//! leases, and the platform's own tables.
//!
//! Invariant: every write goes through [`Db::write_tx`]. Raw `begin`/`transaction` is forbidden by clippy:
//! with SQLite's default begin most concurrent read-then-write transactions fail.

mod columns;
pub mod copy;
pub mod lease;
mod migrate;
pub mod partitions;
mod settings;
mod write_tx;

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr};
use tokio::sync::{Mutex, Notify};

pub use columns::Columns;
pub use migrate::{PlatformTables, migrate, pending, script};
pub use settings::{DatabaseSettings, Plans};
pub use write_tx::WriteTx;

/// A service's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    conn: DatabaseConnection,
    keeping_plans: DatabaseConnection,
    /// One writer at a time on SQLite, first come first served: its own busy handler is neither fair nor quick.
    writer: Option<Arc<Mutex<()>>>,
    outbox_filled: Arc<Notify>,
    settings: Arc<DatabaseSettings>,
}

impl Db {
    /// Opens the pool; `settings.url` is the one of this service already (see [`DatabaseSettings::for_service`]).
    pub async fn connect(settings: &DatabaseSettings, plans: Plans) -> Result<Self, DbErr> {
        let sqlite = settings.is_sqlite();
        let settings = DatabaseSettings {
            max_connections: settings.max_connections.min(if sqlite { 8 } else { u32::MAX }),
            ..settings.clone()
        };
        let mut options = options(&settings, plans);
        options.min_connections(1);
        let conn = open(options).await?;
        if let (false, Some(schema)) = (sqlite, &settings.schema) {
            // One implicit transaction: IF NOT EXISTS alone fails for replicas that start together.
            let sql = format!(
                "SELECT pg_advisory_xact_lock(hashtext('baodan/schema')); CREATE SCHEMA IF NOT EXISTS \"{schema}\""
            );
            conn.execute_unprepared(&sql).await?;
        }
        let keeping_plans =
            if sqlite { conn.clone() } else { open(options_keeping_plans(&settings)).await? };
        Ok(Self {
            conn,
            keeping_plans,
            writer: sqlite.then(|| Arc::new(Mutex::new(()))),
            outbox_filled: Arc::new(Notify::new()),
            settings: Arc::new(settings),
        })
    }

    /// As [`Db::connect`], trying again for a while: after a power cut, or in a fresh cluster, the database comes up
    /// beside its clients, and a busy one lets them in late.
    pub async fn connect_patiently(settings: &DatabaseSettings, plans: Plans) -> Result<Self, DbErr> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(settings.start_patience_seconds);
        loop {
            match Self::connect(settings, plans).await {
                Err(e) if is_transient(&e) && tokio::time::Instant::now() < deadline => {
                    tracing::warn!(error = %e, "the database does not let us in yet; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                done => return done,
            }
        }
    }

    /// For reads, and for single statements that need no transaction.
    pub fn conn(&self) -> &DatabaseConnection {
        &self.conn
    }

    /// Further connections, at most a quarter of the others, opened when they are needed. Their statements are planned
    /// once and never for their values: planning one that reads many months of a table takes several times as long as
    /// running it. Only for reads whose best plan is the same for all values, with what an index is made for
    /// (partial conditions; states, unless they only have to be equal) as literals in their text. On SQLite, the usual
    /// connections.
    pub fn keeping_plans(&self) -> &DatabaseConnection {
        &self.keeping_plans
    }

    /// Begins a writing transaction: `BEGIN IMMEDIATE` on SQLite, READ COMMITTED on PostgreSQL. Dropping it
    /// without [`WriteTx::commit`] rolls back.
    pub async fn write_tx(&self) -> Result<WriteTx, DbErr> {
        WriteTx::begin(self).await
    }

    /// As [`Db::write_tx`], for what a crash of the database may take back without harm: on PostgreSQL its commit does
    /// not wait for the disk. What commits after it in the usual way is never kept without it.
    pub async fn write_tx_unhurried(&self) -> Result<WriteTx, DbErr> {
        let tx = self.write_tx().await?;
        tx.unhurried().await?;
        Ok(tx)
    }

    pub fn is_postgres(&self) -> bool {
        self.conn.get_database_backend() == DbBackend::Postgres
    }

    /// Wakes when a transaction that filled the outbox has committed.
    pub fn outbox_filled(&self) -> &Notify {
        &self.outbox_filled
    }

    /// One round trip; for readiness.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.conn.execute_unprepared("SELECT 1").await.map(|_| ())
    }

    /// Puts the use of the pools into the metrics, as `service`'s.
    pub fn note_pool(&self, service: &'static str) {
        if !self.is_postgres() {
            let pool = self.conn.get_sqlite_connection_pool();
            note_use(service, "main", self.settings.max_connections, pool.size(), pool.num_idle());
            return;
        }
        let pools = [
            ("main", self.settings.max_connections, &self.conn),
            ("keeping_plans", most_keeping_plans(&self.settings), &self.keeping_plans),
        ];
        for (name, most, conn) in pools {
            let pool = conn.get_postgres_connection_pool();
            note_use(service, name, most, pool.size(), pool.num_idle());
        }
    }

    /// Closes the pools; open transactions are waited for.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.keeping_plans.clone().close().await?;
        self.conn.clone().close().await
    }
}

fn note_use(service: &'static str, pool: &'static str, most: u32, open: u32, idle: usize) {
    let idle = u32::try_from(idle).unwrap_or(open);
    metrics::gauge!("db_connections_open", "service" => service, "pool" => pool).set(open);
    metrics::gauge!("db_connections_used", "service" => service, "pool" => pool)
        .set(open.saturating_sub(idle));
    metrics::gauge!("db_connections_max", "service" => service, "pool" => pool).set(most);
}

fn most_keeping_plans(settings: &DatabaseSettings) -> u32 {
    (settings.max_connections / 4).max(1)
}

fn options_keeping_plans(settings: &DatabaseSettings) -> ConnectOptions {
    let mut options = options(settings, Plans::Kept);
    options.max_connections(most_keeping_plans(settings)).min_connections(0).connect_lazy(true);
    options
}

fn options(settings: &DatabaseSettings, plans: Plans) -> ConnectOptions {
    let mut options = ConnectOptions::new(settings.expose_url());
    options
        .max_connections(settings.max_connections)
        .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
        .acquire_timeout(Duration::from_secs(settings.acquire_timeout_seconds))
        .test_before_acquire_if_idle_for(Duration::from_secs(2))
        .sqlx_logging(false);
    if settings.is_sqlite() {
        options.map_sqlx_sqlite_opts(|o| {
            use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
            o.create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(10))
                .foreign_keys(true)
                .pragma("cache_size", "-4000")
        });
        return options;
    }
    if let Some(schema) = &settings.schema {
        options.set_schema_search_path(schema.clone());
    }
    if settings.stays_on_this_machine() {
        options.map_sqlx_postgres_opts(|o| o.ssl_mode(sqlx::postgres::PgSslMode::Disable));
    }
    set_at_start(&mut options, settings.schema.as_deref(), plans);
    options
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let mut conn = Database::connect(options).await?;
    let statements = metrics::counter!("db_statements_total");
    conn.set_metric_callback(move |_| statements.increment(1));
    Ok(conn)
}

/// What every connection to PostgreSQL begins with. This callback takes the place of the library's own, which sets
/// the search path.
fn set_at_start(options: &mut ConnectOptions, schema: Option<&str>, plans: Plans) {
    // Compiling a statement costs tens of milliseconds, and none of ours runs long enough to earn them back.
    let mut sql = "SET jit = off".to_owned();
    if let Some(schema) = schema {
        sql += &format!("; SET search_path = \"{schema}\"");
    }
    for setting in plans.settings() {
        sql += "; ";
        sql += setting;
    }
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let sql = sql.clone();
        pool.after_connect(move |conn, _| {
            let sql = sqlx::AssertSqlSafe(sql.clone());
            Box::pin(async move { sqlx::Executor::execute(conn, sql).await.map(|_| ()) })
        })
    });
}

/// The statement text for the back end in use: the few places where the two dialects part.
pub fn dialect<C: ConnectionTrait>(
    conn: &C,
    postgres: &'static str,
    sqlite: &'static str,
) -> (DbBackend, &'static str) {
    match conn.get_database_backend() {
        DbBackend::Postgres => (DbBackend::Postgres, postgres),
        other => (other, sqlite),
    }
}

/// Whether the error means "the database cannot be reached just now" rather than "the statement is wrong".
pub fn is_transient(e: &DbErr) -> bool {
    matches!(e, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)) || {
        let text = e.to_string();
        // sqlx reports a dropped connection and a shutting-down server as query errors.
        [
            "terminating connection",
            "Connection reset",
            "Broken pipe",
            "closed the connection",
            "connection closed",
            "the database system is",
            "deadlock detected",
            "database is locked",
            "unexpected end of file",
            "expected to read",
        ]
        .iter()
        .any(|needle| text.contains(needle))
    }
}

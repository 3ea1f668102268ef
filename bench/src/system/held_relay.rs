//! A full outbox to start from: the relay of order-service is kept away by its own lease.

use std::time::Duration;

use platform::clock::Clock;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A relay asks for its lease again after five seconds at the latest.
const RENEWAL: Duration = Duration::from_secs(6);
const LONGEST_MS: i64 = 120_000;

/// See the module.
pub struct HeldRelay {
    conn: DatabaseConnection,
}

impl HeldRelay {
    pub async fn take(url: &str) -> Result<Self, String> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let conn = Database::connect(options).await.map_err(|e| e.to_string())?;
        let held = Self { conn };
        held.lease("bench", Clock::system().now_ms() + LONGEST_MS).await?;
        tokio::time::sleep(RENEWAL).await;
        Ok(held)
    }

    /// Lets the relay publish.
    pub async fn release(self) -> Result<(), String> {
        self.lease("nobody", 0).await?;
        if self.conn.get_database_backend() == DbBackend::Postgres {
            let call = "SELECT pg_notify('outbox:order', 'free')";
            self.conn.execute_unprepared(call).await.map_err(|e| e.to_string())?;
        }
        self.conn.close().await.map_err(|e| e.to_string())
    }

    async fn lease(&self, holder: &str, until_ms: i64) -> Result<(), String> {
        let backend = self.conn.get_database_backend();
        let table = if backend == DbBackend::Postgres { "\"order\".lease" } else { "lease" };
        let sql = format!("UPDATE {table} SET holder = $1, until_ms = $2 WHERE name = 'outbox-relay'");
        let statement = Statement::from_sql_and_values(backend, sql, [holder.into(), until_ms.into()]);
        match self.conn.execute_raw(statement).await {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err("order-service's relay has no lease".into()),
            Err(e) => Err(e.to_string()),
        }
    }
}

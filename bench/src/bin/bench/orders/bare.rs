//! The rows of a change and nothing else: an order, its history, its event, one commit.

use std::{path::Path, time::Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use platform::db::{DatabaseSettings, Db, Plans};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

/// About what an order's row and its event hold, bytes.
const ROW: usize = 450;
const EVENT: usize = 1300;
const TABLES: &str = "CREATE TABLE bare_order (id BIGINT PRIMARY KEY, version BIGINT NOT NULL, state INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE bare_history (order_id BIGINT, seq BIGINT, body TEXT NOT NULL, PRIMARY KEY (order_id, seq));
    CREATE TABLE bare_outbox (order_id BIGINT, seq BIGINT, body TEXT NOT NULL, PRIMARY KEY (order_id, seq));";

/// A database of the mode's kind, with the services' own settings.
pub struct Bare {
    db: Db,
}

impl Bare {
    /// In the run's PostgreSQL database, or in a SQLite file in `folder`.
    pub async fn open(url: Option<String>, folder: &Path) -> Result<Self, String> {
        let url = url.unwrap_or_else(|| format!("sqlite://{}", folder.join("bare.db").display()));
        let settings = DatabaseSettings { url: Some(url.into()), ..DatabaseSettings::default() };
        let open = async {
            let db = Db::connect(&settings, Plans::Free).await?;
            let tx = db.write_tx().await?;
            tx.execute_unprepared(TABLES).await?;
            tx.commit().await?;
            Ok::<_, DbErr>(db)
        };
        Ok(Self { db: open.await.map_err(|e| format!("the bare tables: {e}"))? })
    }

    pub async fn close(self) -> Result<(), String> {
        self.db.close().await.map_err(|e| e.to_string())
    }

    /// Places and pays `count` bare orders; changes a second, two for each.
    pub async fn changes(&self, count: usize, parallel: usize) -> Result<f64, String> {
        let run = async {
            self.run("DELETE FROM bare_order").await?;
            self.run("DELETE FROM bare_history").await?;
            self.run("DELETE FROM bare_outbox").await?;
            let started = Instant::now();
            for paid in [false, true] {
                let ids = 0..i64::try_from(count).unwrap_or(0);
                let changing = ids.map(|id| if paid { self.change(id, 2) } else { self.change(id, 1) });
                stream::iter(changing).buffer_unordered(parallel).try_collect::<Vec<()>>().await?;
            }
            Ok::<_, DbErr>(2.0 * count as f64 / started.elapsed().as_secs_f64())
        };
        run.await.map_err(|e| format!("the bare rows: {e}"))
    }

    async fn run(&self, sql: &str) -> Result<(), DbErr> {
        let tx = self.db.write_tx().await?;
        tx.execute_unprepared(sql).await?;
        tx.commit().await
    }

    async fn change(&self, id: i64, seq: i64) -> Result<(), DbErr> {
        let tx = self.db.write_tx().await?;
        let backend = tx.get_database_backend();
        let run = async |sql: &str, values: Vec<Value>| {
            tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
        };
        if seq == 1 {
            let values = vec![id.into(), "x".repeat(ROW).into()];
            run("INSERT INTO bare_order (id, version, state, body) VALUES ($1, 1, 1, $2)", values).await?;
        } else {
            run(
                "UPDATE bare_order SET version = 2, state = 3 WHERE id = $1 AND version = 1",
                vec![id.into()],
            )
            .await?;
        }
        let history = vec![id.into(), seq.into(), "{}".into()];
        run("INSERT INTO bare_history (order_id, seq, body) VALUES ($1, $2, $3)", history).await?;
        let event = vec![id.into(), seq.into(), "x".repeat(EVENT).into()];
        run("INSERT INTO bare_outbox (order_id, seq, body) VALUES ($1, $2, $3)", event).await?;
        tx.commit().await
    }
}

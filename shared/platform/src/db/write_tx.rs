use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::async_trait::async_trait;
use tokio::sync::{Notify, OwnedMutexGuard};

use super::Db;
use crate::crash;

/// A writing transaction. State change, history, outbox and inbox rows of one use-case share one of these.
#[must_use = "dropping a WriteTx without commit() rolls back"]
pub struct WriteTx {
    // Declared before the guard: the rollback of a dropped transaction starts before the next writer does.
    tx: DatabaseTransaction,
    _writer: Option<OwnedMutexGuard<()>>,
    outbox_filled: Arc<Notify>,
    wrote_outbox: AtomicBool,
}

impl WriteTx {
    #[allow(clippy::disallowed_methods)] // the one place that begins a transaction
    pub(super) async fn begin(db: &Db) -> Result<Self, DbErr> {
        let writer = match &db.writer {
            Some(mutex) => Some(Arc::clone(mutex).lock_owned().await),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let tx = db.conn.begin_with_options(options).await?;
        metrics::counter!("db_transactions_total").increment(1);
        Ok(Self {
            tx,
            _writer: writer,
            outbox_filled: Arc::clone(&db.outbox_filled),
            wrote_outbox: AtomicBool::new(false),
        })
    }

    /// From now on this is one of [`Db::write_tx_unhurried`].
    pub async fn unhurried(&self) -> Result<(), DbErr> {
        if self.get_database_backend() == DbBackend::Postgres {
            self.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
        }
        Ok(())
    }

    /// Commits; wakes the relay when the outbox got a row.
    pub async fn commit(self) -> Result<(), DbErr> {
        let wrote_outbox = self.wrote_outbox.load(Ordering::Relaxed);
        if wrote_outbox {
            crash::point("change.uncommitted");
        }
        self.tx.commit().await?;
        if wrote_outbox {
            crash::point("change.committed");
            self.outbox_filled.notify_one();
        }
        Ok(())
    }

    /// Rolls back now rather than at drop.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.tx.rollback().await
    }

    pub(crate) fn mark_outbox(&self) {
        self.wrote_outbox.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl ConnectionTrait for WriteTx {
    fn get_database_backend(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.tx.execute_raw(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.tx.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.tx.query_one_raw(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.tx.query_all_raw(stmt).await
    }
}

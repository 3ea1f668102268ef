//! Wake-ups between the replicas of one service: whoever commits events but does not hold the relay's lease calls
//! the one that does (`LISTEN`/`NOTIFY`). Nothing depends on a call: the relay polls as well, only less often.
//!
//! The call is a statement of its own after the commit: inside the transaction it would make the commits of all
//! services wait for one another, for PostgreSQL hands calls out in the order of commits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbErr, Statement};
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    db::Db,
    lifecycle::{Stage, Worker},
};

/// SQL for the channel's name: services may share a database, each in its schema.
const CHANNEL: &str = "'outbox:' || current_schema()";
/// Before a listener that lost its connection tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is called out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Events were committed.
    Filled,
    /// The relay's lease is free.
    Free,
}

impl Call {
    fn word(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Free => "free",
        }
    }

    /// Calls all replicas of this service.
    pub async fn out(self, db: &Db) -> Result<(), DbErr> {
        let sql = format!("SELECT pg_notify({CHANNEL}, '{}')", self.word());
        db.conn().execute_unprepared(&sql).await.map(|_| ())
    }
}

/// What was heard.
#[derive(Default)]
pub struct Heard {
    pub any: Notify,
    pub free: AtomicBool,
}

/// The worker that hears calls; `None` where there can be no other replica.
pub fn listener(service: &'static str, db: &Db, heard: &Arc<Heard>) -> Option<Worker> {
    let db = db.is_postgres().then(|| db.clone())?;
    let heard = Arc::clone(heard);
    Some(Worker::new(format!("{service}-outbox-listener"), Stage::Relay, move |stop| {
        let (db, heard) = (db.clone(), Arc::clone(&heard));
        async move {
            while !stop.is_cancelled() {
                if let Err(e) = listen(&db, &heard, &stop).await {
                    tracing::warn!(service, error = %e, "other replicas' calls cannot be heard; the relay polls meanwhile");
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }))
}

async fn listen(db: &Db, heard: &Heard, stop: &CancellationToken) -> Result<(), DbErr> {
    let conn = db.conn();
    let sql = format!("SELECT {CHANNEL} AS channel");
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let channel: String = row.ok_or_else(|| DbErr::Custom("no schema".into()))?.try_get("", "channel")?;
    let failed = |e: sqlx::Error| DbErr::Conn(sea_orm::RuntimeErr::SqlxError(e.into()));
    let mut listener = PgListener::connect_with(conn.get_postgres_connection_pool()).await.map_err(failed)?;
    listener.listen(&channel).await.map_err(failed)?;
    loop {
        // Also at the start and after a lost connection: what was called meanwhile went unheard.
        heard.any.notify_one();
        tokio::select! {
            called = listener.try_recv() => {
                let free = called.map_err(failed)?.is_none_or(|call| call.payload() == Call::Free.word());
                if free {
                    heard.free.store(true, Ordering::Relaxed);
                }
            }
            () = stop.cancelled() => return Ok(()),
        }
    }
}

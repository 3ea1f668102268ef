//! Consuming events once: the inbox row of (consumer, event) is written in the handler's own transaction,
//! so a repeat finds it and does nothing. What fails again and again is parked with its reason; the rest flows.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use contracts::{
    event::{Event, EventError},
    events::ConsumerSpec,
};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use tracing::Instrument;

use crate::{
    clock::Clock,
    crash,
    db::{self, Columns, Db, WriteTx},
    telemetry::{self, Steps},
};

/// Tries of one event before it is parked.
pub const MAX_TRIES: u32 = 5;

/// Why a handler gave up on an event.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The database is away; the same event will be tried again for as long as it takes.
    #[error("not possible just now: {0}")]
    Transient(DbErr),
    /// This event cannot be handled; parked after [`MAX_TRIES`].
    #[error("{0}")]
    Rejected(String),
}

impl From<DbErr> for HandleError {
    fn from(e: DbErr) -> Self {
        if db::is_transient(&e) { Self::Transient(e) } else { Self::Rejected(e.to_string()) }
    }
}

impl From<EventError> for HandleError {
    fn from(e: EventError) -> Self {
        Self::Rejected(e.to_string())
    }
}

pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), HandleError>> + Send + 'a>>;

/// A feature's reaction to events. All of `events` are new to this consumer and come in publishing order; the
/// `traceparent` of each is that of its consumption, where there is a trace.
/// Everything it writes goes through `tx`; it must not call out.
pub trait Consumer: Send + Sync + 'static {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a>;
    /// Called after the batch has committed: to wake a worker, never to write.
    fn committed(&self) {}
}

/// A consumer with its queue and its inbox.
#[derive(Clone)]
pub struct InboxConsumer {
    spec: &'static ConsumerSpec,
    db: Db,
    clock: Clock,
    handler: Arc<dyn Consumer>,
}

impl InboxConsumer {
    /// `name` must stand in `contracts::events::CONSUMERS`.
    pub fn new(name: &str, db: Db, clock: Clock, handler: impl Consumer) -> Self {
        let spec = contracts::events::consumer(name).expect("a consumer of contracts::events::CONSUMERS");
        // Known from the start: an alert on its increase would miss the first parked event otherwise.
        metrics::counter!("inbox_parked_total", "consumer" => spec.name).absolute(0);
        metrics::counter!("inbox_events_total", "consumer" => spec.name).absolute(0);
        Self { spec, db, clock, handler: Arc::new(handler) }
    }

    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    pub fn types(&self) -> &'static [&'static str] {
        self.spec.types
    }

    /// Handles a batch: `Ok` once every event is committed, dropped as a repeat, or parked. An error means
    /// nothing of the rest was done and the whole batch may come again.
    pub async fn take(&self, events: &[Event]) -> Result<(), HandleError> {
        if events.is_empty() {
            return Ok(());
        }
        match self.attempt(events).await {
            Ok(()) => return Ok(()),
            Err(HandleError::Transient(e)) => return Err(HandleError::Transient(e)),
            Err(HandleError::Rejected(reason)) if events.len() > 1 => {
                tracing::warn!(consumer = self.name(), events = events.len(), %reason, "batch refused; taking its events one by one");
            }
            Err(HandleError::Rejected(_)) => {}
        }
        for event in events {
            self.take_one(event).await?;
        }
        Ok(())
    }

    async fn take_one(&self, event: &Event) -> Result<(), HandleError> {
        let mut tries = 1;
        loop {
            match self.attempt(std::slice::from_ref(event)).await {
                Ok(()) => return Ok(()),
                Err(HandleError::Transient(e)) => return Err(HandleError::Transient(e)),
                Err(HandleError::Rejected(reason)) if tries >= MAX_TRIES => {
                    return self.park(event, &reason, tries).await;
                }
                Err(HandleError::Rejected(_)) => {
                    tokio::time::sleep(Duration::from_millis(20 << tries)).await;
                    tries += 1;
                }
            }
        }
    }

    async fn attempt(&self, events: &[Event]) -> Result<(), HandleError> {
        if telemetry::exporting() {
            let mut traced = events.to_vec();
            let steps = Steps::consumed(self.name(), &mut traced);
            let span = steps.first().unwrap_or_else(tracing::Span::none);
            return self.attempt_in_span(&traced).instrument(span).await.inspect_err(|_| steps.failed());
        }
        let span = tracing::info_span!("consume", consumer = self.name(), events = events.len());
        if let Some(parent) = events[0].traceparent.as_deref() {
            telemetry::parent_from(parent, &span);
        }
        self.attempt_in_span(events).instrument(span).await
    }

    async fn attempt_in_span(&self, events: &[Event]) -> Result<(), HandleError> {
        let tx = self.db.write_tx().await?;
        let fresh_ids = record(&tx, self.name(), events, self.clock.now_ms()).await?;
        if fresh_ids.len() == events.len() {
            self.handler.handle(&tx, events).await?;
        } else {
            let mut left: std::collections::HashSet<String> = fresh_ids.into_iter().collect();
            // `remove` and not `contains`: the same event twice in one batch is a repeat too.
            let fresh: Vec<Event> = events.iter().filter(|e| left.remove(&e.id)).cloned().collect();
            if !fresh.is_empty() {
                self.handler.handle(&tx, &fresh).await?;
            }
        }
        crash::point("inbox.handled");
        tx.commit().await?;
        crash::point("inbox.committed");
        metrics::counter!("inbox_events_total", "consumer" => self.name()).increment(events.len() as u64);
        self.handler.committed();
        Ok(())
    }

    /// Puts an event aside, visible and replayable.
    async fn park(&self, event: &Event, reason: &str, tries: u32) -> Result<(), HandleError> {
        tracing::error!(consumer = self.name(), event_id = %event.id, subject = %event.subject, reason, "event parked");
        metrics::counter!("inbox_parked_total", "consumer" => self.name()).increment(1);
        let body = serde_json::to_string(event).map_err(|e| HandleError::Rejected(e.to_string()))?;
        let row = ParkedRow {
            consumer: self.name(),
            event_id: &event.id,
            kind: &event.kind,
            subject: &event.subject,
            body: &body,
        };
        row.save(&self.db, reason, tries, self.clock.now_ms()).await?;
        Ok(())
    }

    /// Parks a message that is no event at all.
    pub(crate) async fn park_raw(&self, body: &[u8], reason: &str) -> Result<(), DbErr> {
        tracing::error!(consumer = self.name(), reason, "unreadable message parked");
        let body = String::from_utf8_lossy(body).replace('\0', "");
        let event_id = format!("sha256:{}", crate::seal::sha256_hex(body.as_bytes()));
        let row =
            ParkedRow { consumer: self.name(), event_id: &event_id, kind: "", subject: "", body: &body };
        row.save(&self.db, reason, 1, self.clock.now_ms()).await
    }
}

struct ParkedRow<'a> {
    consumer: &'a str,
    event_id: &'a str,
    kind: &'a str,
    subject: &'a str,
    body: &'a str,
}

impl ParkedRow<'_> {
    async fn save(&self, db: &Db, reason: &str, tries: u32, now: i64) -> Result<(), DbErr> {
        let sql =
            "INSERT INTO parked_event (consumer, event_id, kind, subject, body, reason, tries, parked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (consumer, event_id) DO NOTHING";
        let values = [
            self.consumer.into(),
            self.event_id.into(),
            self.kind.into(),
            self.subject.into(),
            self.body.into(),
            reason.into(),
            i32::try_from(tries).unwrap_or(i32::MAX).into(),
            now.into(),
        ];
        let tx = db.write_tx().await?;
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
        tx.commit().await
    }
}

/// Writes the inbox rows; answers the ids that were not there yet.
async fn record(tx: &WriteTx, consumer: &str, events: &[Event], now: i64) -> Result<Vec<String>, DbErr> {
    let backend = tx.get_database_backend();
    let (from, ids) = Columns::new().texts("id", events.iter().map(|e| &e.id)).source(backend, 2, "e");
    let sql = format!(
        "INSERT INTO inbox (consumer, event_id, received_at) SELECT $1, e.id, $2 FROM {from} WHERE true
            ON CONFLICT DO NOTHING RETURNING event_id"
    );
    let mut values: Vec<Value> = vec![consumer.into(), now.into()];
    values.extend(ids);
    let rows = tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "event_id")).collect()
}

/// Forgets inbox rows older than `keep_ms`, a bounded number at a time; answers how many.
pub async fn purge(db: &Db, clock: &Clock, keep_ms: i64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM inbox WHERE (consumer, event_id) IN
        (SELECT consumer, event_id FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT 5000)";
    let tx = db.write_tx_unhurried().await?;
    let values = [(clock.now_ms() - keep_ms).into()];
    let done = tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

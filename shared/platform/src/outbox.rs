//! Events leave a service by its outbox alone: the row is written in the transaction of the change, a relay
//! hands it to the bus and deletes it only after every reader's confirm. A crash in between repeats, never loses.
//!
//! One relay per service at a time (a lease), so that events of one subject keep their order on the bus.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use contracts::{
    event::{Event, Payload},
    routes::ServiceName,
};
use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::{
    bus::{Bus, BusError},
    clock::{self, Clock},
    crash,
    db::{self, Db, WriteTx, lease},
    ids::Ids,
    lifecycle::{Stage, Turn, Worker},
    telemetry::Steps,
};

/// Events of one round trip to the bus.
const BATCH: usize = 512;
const LEASE_MS: i64 = 10_000;
const LEASE_NAME: &str = "outbox-relay";
/// The net under the wake-up by commit: another replica's commits are found this late at the most.
const POLL: Duration = Duration::from_millis(200);

/// Writes outbox rows for one service.
#[derive(Debug, Clone)]
pub struct Outbox {
    source: String,
    initial: char,
    ids: Ids,
    clock: Clock,
}

impl Outbox {
    pub fn new(service: ServiceName, ids: Ids, clock: Clock) -> Self {
        let name = service.as_str();
        let initial = name.chars().next().unwrap_or('x');
        Self { source: format!("/{name}-service"), initial, ids, clock }
    }

    /// Adds one event to the transaction; answers its id.
    pub async fn append<P: Payload>(
        &self,
        tx: &WriteTx,
        subject: String,
        payload: &P,
    ) -> Result<String, DbErr> {
        let mut ids = self.append_many(tx, std::slice::from_ref(&(subject, payload))).await?;
        ids.pop().ok_or_else(|| DbErr::Custom("an event without an id".into()))
    }

    /// Adds events in one statement; they are published in this order.
    pub async fn append_many<P: Payload>(
        &self,
        tx: &WriteTx,
        items: &[(String, &P)],
    ) -> Result<Vec<String>, DbErr> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now_ms();
        let time = clock::rfc3339(now);
        let traceparent = crate::telemetry::current_traceparent();
        let mut event_ids = Vec::with_capacity(items.len());
        let mut rows = Vec::with_capacity(items.len());
        for (subject, payload) in items {
            let id = format!("evt_{}{}", self.initial, self.ids.next());
            let event = Event::new(
                id.clone(),
                &self.source,
                subject.clone(),
                time.clone(),
                traceparent.clone(),
                *payload,
            )
            .map_err(json_error)?;
            rows.push((id.clone(), P::TYPE, serde_json::to_string(&event).map_err(json_error)?));
            event_ids.push(id);
        }
        let rows = serde_json::to_string(&rows).map_err(json_error)?;
        let (backend, sql) = db::dialect(
            tx,
            "INSERT INTO outbox (event_id, kind, body, created_at)
                SELECT e->>0, e->>1, e->>2, $2 FROM json_array_elements($1::json) AS e",
            "INSERT INTO outbox (event_id, kind, body, created_at)
                SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), $2
                FROM json_each($1)",
        );
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into(), now.into()])).await?;
        tx.mark_outbox();
        Ok(event_ids)
    }
}

fn json_error(e: serde_json::Error) -> DbErr {
    DbErr::Custom(format!("an event could not be written as JSON: {e}"))
}

/// Why a relay's turn failed; the rows stay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Hands the outbox of one service to the bus.
#[derive(Clone)]
pub struct Relay {
    service: ServiceName,
    db: Db,
    bus: Bus,
    clock: Clock,
    holder: lease::Holder,
    /// When the lease must be renewed (unix ms); 0 = not held.
    renew_at: Arc<AtomicI64>,
}

impl Relay {
    pub fn new(service: ServiceName, db: Db, bus: Bus, clock: Clock) -> Self {
        let holder = lease::Holder::new(service.as_str());
        metrics::counter!("outbox_published_total", "service" => service.as_str()).absolute(0);
        Self { service, db, bus, clock, holder, renew_at: Arc::new(AtomicI64::new(0)) }
    }

    /// Publishes one batch. `Idle` when the outbox is empty or another replica's relay is at work.
    pub async fn run_once(&self) -> Result<Turn, RelayError> {
        if !self.hold_lease().await? {
            return Ok(Turn::Idle);
        }
        let rows = load(&self.db).await?;
        if rows.is_empty() {
            return Ok(Turn::Idle);
        }
        let mut ids = Vec::with_capacity(rows.len());
        let mut events = Vec::with_capacity(rows.len());
        for (id, body) in rows {
            let event: Event = serde_json::from_str(&body).map_err(json_error)?;
            ids.push(id);
            events.push(event);
        }
        crash::point("outbox.claimed");
        let steps = Steps::published(self.service.as_str(), &mut events);
        let published = self.bus.publish(&events).await;
        if published.is_err() {
            steps.failed();
            // Whoever can reach the bus may try meanwhile.
            self.renew_at.store(0, Ordering::Relaxed);
            lease::release(&self.db, LEASE_NAME, &self.holder).await?;
        }
        published?;
        crash::point("outbox.published");
        delete(&self.db, &ids).await?;
        crash::point("outbox.deleted");
        metrics::counter!("outbox_published_total", "service" => self.service.as_str())
            .increment(ids.len() as u64);
        Ok(Turn::Done)
    }

    async fn hold_lease(&self) -> Result<bool, DbErr> {
        let now = self.clock.now_ms();
        if now < self.renew_at.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let held = lease::take(&self.db, &self.clock, LEASE_NAME, &self.holder, LEASE_MS).await?.is_some();
        if held {
            crash::point("relay.leased");
        }
        self.renew_at.store(if held { now + LEASE_MS / 2 } else { 0 }, Ordering::Relaxed);
        Ok(held)
    }

    /// The worker that runs this relay; it empties the outbox once more when the process stops.
    pub fn worker(self) -> Worker {
        let name = format!("{}-outbox-relay", self.service.as_str());
        Worker::new(name, Stage::Relay, move |stop| {
            let relay = self.clone();
            async move {
                relay.work(stop).await;
            }
        })
    }

    async fn work(&self, stop: tokio_util::sync::CancellationToken) {
        let mut pause = Duration::ZERO;
        loop {
            match self.run_once().await {
                Ok(Turn::Done) => {
                    pause = Duration::ZERO;
                    continue;
                }
                Ok(Turn::Idle) => pause = Duration::ZERO,
                Err(e) => {
                    pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                    tracing::warn!(service = self.service.as_str(), error = %e, retry_in_ms = pause.as_millis() as u64,
                        "outbox relay could not publish; nothing is lost, it tries again");
                }
            }
            if stop.is_cancelled() {
                break;
            }
            if pause.is_zero() {
                tokio::select! {
                    () = self.db.outbox_filled().notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = stop.cancelled() => {}
                }
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        if let Err(e) = lease::release(&self.db, LEASE_NAME, &self.holder).await {
            tracing::warn!(service = self.service.as_str(), error = %e, "outbox relay could not give its lease back");
        }
    }
}

async fn load(db: &Db) -> Result<Vec<(i64, String)>, DbErr> {
    let conn = db.conn();
    let sql = "SELECT id, body FROM outbox ORDER BY id LIMIT $1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [(BATCH as i64).into()]);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "body")?))).collect()
}

async fn delete(db: &Db, ids: &[i64]) -> Result<(), DbErr> {
    let ids = serde_json::to_string(ids).map_err(json_error)?;
    let tx = db.write_tx().await?;
    let (backend, sql) = db::dialect(
        &tx,
        // `AS id` alone would name the table: the column inside would then be outbox.id, and every row be deleted.
        "DELETE FROM outbox WHERE id IN (SELECT done.id::bigint FROM json_array_elements_text($1::json) AS done(id))",
        "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each($1))",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [ids.into()])).await?;
    tx.commit().await
}

/// Rows that wait and the age of the oldest in milliseconds: the figures behind the outbox-lag metric.
pub async fn lag(db: &Db, clock: &Clock) -> Result<(i64, i64), DbErr> {
    let conn = db.conn();
    let sql = "SELECT count(*) AS n, COALESCE(min(created_at), 0) AS oldest FROM outbox";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let Some(row) = row else { return Ok((0, 0)) };
    let (n, oldest): (i64, i64) = (row.try_get("", "n")?, row.try_get("", "oldest")?);
    Ok((n, if n == 0 { 0 } else { clock.now_ms() - oldest }))
}

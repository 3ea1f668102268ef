//! The relay: hands the outbox of one service to the bus.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use contracts::{event::Event, routes::ServiceName};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    calls::{self, Call, Heard},
    json_error,
};
use crate::{
    bus::{Bus, BusError, Written},
    clock::Clock,
    crash,
    db::{Db, lease},
    lifecycle::{Stage, Turn, Worker},
    telemetry::{self, Steps},
};

/// Events of one round trip to the bus, and their bytes (one event larger than that goes alone).
const BATCH: i64 = 512;
const BATCH_BYTES: i64 = 2 * 1024 * 1024;
const LEASE_MS: i64 = 10_000;
const LEASE_NAME: &str = "outbox-relay";
/// A lease that another replica holds is asked for this often.
const ASK_AGAIN_MS: i64 = 1_000;
/// The net under the wake-ups.
const POLL: Duration = Duration::from_millis(500);

/// Why a relay's turn failed; the rows stay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// See the module. Clones are one relay.
#[derive(Clone)]
pub struct Relay {
    service: ServiceName,
    db: Db,
    bus: Bus,
    clock: Clock,
    holder: lease::Holder,
    poll: Duration,
    heard: Arc<Heard>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When the lease must be renewed (unix ms); 0 = not held.
    renew_at: i64,
    /// Another replica holds it; not asked for before (unix ms).
    ask_at: i64,
    /// Published and confirmed, deleted with the next look: if this process dies before, they go out once more and
    /// the inboxes drop them.
    sent: Vec<i64>,
}

impl Relay {
    pub fn new(service: ServiceName, db: Db, bus: Bus, clock: Clock) -> Self {
        let holder = lease::Holder::new(service.as_str());
        metrics::counter!("outbox_published_total", "service" => service.as_str()).absolute(0);
        Self { service, db, bus, clock, holder, poll: POLL, heard: Arc::default(), state: Arc::default() }
    }

    /// The same with another pause between looks that nobody asked for.
    #[must_use]
    pub fn polling_every(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    /// Publishes one batch. `Idle` when the outbox is empty or another replica's relay is at work.
    pub async fn run_once(&self) -> Result<Turn, RelayError> {
        let mut state = self.state.lock().await;
        if !self.hold_lease(&mut state).await? {
            // They are published, whoever holds the lease now.
            if !state.sent.is_empty() {
                exchange(&self.db, &state.sent, 0).await?;
                state.sent.clear();
            }
            return Ok(Turn::Idle);
        }
        let rows = exchange(&self.db, &state.sent, BATCH).await?;
        if !state.sent.is_empty() {
            crash::point("outbox.deleted");
            state.sent.clear();
        }
        if rows.is_empty() {
            return Ok(Turn::Idle);
        }
        crash::point("outbox.claimed");
        let (ids, events): (Vec<i64>, Vec<Written>) = rows.into_iter().unzip();
        let (events, steps) = traced(self.service.as_str(), events)?;
        let published = self.bus.publish(&events).await;
        if published.is_err() {
            steps.failed();
            // Whoever can reach the bus may try meanwhile.
            state.renew_at = 0;
            lease::release(&self.db, LEASE_NAME, &self.holder).await?;
        }
        published?;
        crash::point("outbox.published");
        let service = self.service.as_str();
        metrics::counter!("outbox_published_total", "service" => service).increment(ids.len() as u64);
        metrics::histogram!("outbox_batch_events", "service" => service).record(ids.len() as f64);
        state.sent = ids;
        Ok(Turn::Done)
    }

    async fn hold_lease(&self, state: &mut State) -> Result<bool, DbErr> {
        let now = self.clock.now_ms();
        if now < state.renew_at {
            return Ok(true);
        }
        let freed = self.heard.free.swap(false, Ordering::Relaxed);
        if now < state.ask_at && !freed {
            return Ok(false);
        }
        let held = lease::take(&self.db, &self.clock, LEASE_NAME, &self.holder, LEASE_MS).await?.is_some();
        if held {
            crash::point("relay.leased");
        }
        state.renew_at = if held { now + LEASE_MS / 2 } else { 0 };
        state.ask_at = if held { 0 } else { now + ASK_AGAIN_MS };
        Ok(held)
    }

    /// Whether another replica's relay is at work.
    async fn is_elsewhere(&self) -> bool {
        self.state.lock().await.ask_at > 0
    }

    /// The workers that run this relay; it empties the outbox once more when the process stops.
    pub fn workers(self) -> Vec<Worker> {
        let service = self.service.as_str();
        let listener = calls::listener(service, &self.db, &self.heard);
        let relay = Worker::new(format!("{service}-outbox-relay"), Stage::Relay, move |stop| {
            let relay = self.clone();
            async move {
                relay.work(stop).await;
            }
        });
        listener.into_iter().chain([relay]).collect()
    }

    async fn work(&self, stop: CancellationToken) {
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
                self.rest(&stop).await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        if let Err(e) = self.step_down().await {
            tracing::warn!(service = self.service.as_str(), error = %e, "outbox relay could not give its lease back");
        }
    }

    /// Until there is something to do; tells the relay at work of what was committed here.
    async fn rest(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.db.outbox_filled().notified() => {
                if self.is_elsewhere().await
                    && self.db.is_postgres()
                    && let Err(e) = Call::Filled.out(&self.db).await
                {
                    tracing::warn!(service = self.service.as_str(), error = %e, "the relay of another replica could not be called; it polls");
                }
            }
            () = self.heard.any.notified() => {}
            () = tokio::time::sleep(self.poll) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Gives the lease back and tells the others.
    async fn step_down(&self) -> Result<(), DbErr> {
        lease::release(&self.db, LEASE_NAME, &self.holder).await?;
        if self.db.is_postgres() { Call::Free.out(&self.db).await } else { Ok(()) }
    }
}

/// With a collector each event leaves with the relay's span as its parent; without one its bytes stay as they are.
fn traced(service: &'static str, events: Vec<Written>) -> Result<(Vec<Written>, Steps), BusError> {
    if !telemetry::exporting() {
        return Ok((events, Steps::default()));
    }
    let read = events.iter().map(|event| serde_json::from_str(&event.body));
    let mut read: Vec<Event> = read.collect::<Result<_, _>>()?;
    let steps = Steps::published(service, &mut read);
    Ok((read.iter().map(Written::new).collect::<Result<_, _>>()?, steps))
}

/// Deletes what was sent and answers what comes next, at most `most` events: one round trip on PostgreSQL.
async fn exchange(db: &Db, sent: &[i64], most: i64) -> Result<Vec<(i64, Written)>, DbErr> {
    let sent = serde_json::to_string(sent).map_err(json_error)?;
    let rows = if db.is_postgres() {
        let conn = db.conn();
        let values = [sent.into(), most.into(), BATCH_BYTES.into()];
        conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), POSTGRES, values))
            .await?
    } else {
        exchange_on_sqlite(db, sent, most).await?
    };
    rows.iter().map(read).collect()
}

/// Deleting need not be durable at once: what a crash of the database brings back is sent again and dropped by the
/// inboxes. So this commit does not wait for the disk.
const POSTGRES: &str = "
WITH sent AS (SELECT s.id::bigint AS id FROM json_array_elements_text($1::json) AS s(id)),
quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS off),
gone AS (DELETE FROM outbox USING sent, quick WHERE outbox.id = sent.id AND quick.off = 'off'),
head AS (SELECT o.id, o.event_id, o.kind, o.body, octet_length(o.body) AS bytes FROM outbox o
    WHERE NOT EXISTS (SELECT 1 FROM sent WHERE sent.id = o.id) ORDER BY o.id LIMIT $2)
SELECT h.id, h.event_id, h.kind, h.body
FROM (SELECT head.*, sum(bytes) OVER (ORDER BY id) AS upto FROM head) AS h
WHERE h.upto - h.bytes < $3 ORDER BY h.id";

async fn exchange_on_sqlite(db: &Db, sent: String, most: i64) -> Result<Vec<QueryResult>, DbErr> {
    if sent != "[]" {
        let tx = db.write_tx().await?;
        let sql = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each($1))";
        let backend = tx.get_database_backend();
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, [sent.into()])).await?;
        tx.commit().await?;
    }
    let conn = db.conn();
    let sql = "SELECT h.id, h.event_id, h.kind, h.body FROM
            (SELECT o.id, o.event_id, o.kind, o.body, length(CAST(o.body AS BLOB)) AS bytes, sum(length(CAST(o.body AS BLOB))) OVER (ORDER BY o.id) AS upto
            FROM (SELECT * FROM outbox ORDER BY id LIMIT $1) AS o) AS h
        WHERE h.upto - h.bytes < $2 ORDER BY h.id";
    let values = [most.into(), BATCH_BYTES.into()];
    conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await
}

fn read(row: &QueryResult) -> Result<(i64, Written), DbErr> {
    let event = Written {
        id: row.try_get("", "event_id")?,
        kind: row.try_get("", "kind")?,
        body: row.try_get("", "body")?,
    };
    Ok((row.try_get("", "id")?, event))
}

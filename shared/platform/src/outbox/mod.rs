//! Events leave a service by its outbox alone: the row is written in the transaction of the change, a relay
//! hands it to the bus and deletes it only after every reader's confirm. A crash in between repeats, never loses.
//!
//! One relay per service at a time (a lease), so that events of one subject keep their order on the bus.

mod calls;
mod relay;

use contracts::{
    event::{Event, Payload},
    routes::ServiceName,
};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

pub use relay::{Relay, RelayError};

use crate::{
    clock::{self, Clock},
    db::{Columns, Db, WriteTx},
    ids::Ids,
};

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
        let mut bodies = Vec::with_capacity(items.len());
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
            bodies.push(serde_json::to_string(&event).map_err(json_error)?);
            event_ids.push(id);
        }
        insert(tx, P::TYPE, &event_ids, bodies, now).await?;
        tx.mark_outbox();
        Ok(event_ids)
    }
}

/// One statement for all.
async fn insert(
    tx: &WriteTx,
    kind: &str,
    event_ids: &[String],
    bodies: Vec<String>,
    now: i64,
) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let events = Columns::new().texts("event_id", event_ids).texts("body", bodies);
    let (from, columns) = events.source(backend, 2, "e");
    let sql = format!(
        "INSERT INTO outbox (event_id, kind, body, created_at) SELECT e.event_id, $1, e.body, $2 FROM {from}"
    );
    let mut values: Vec<Value> = vec![kind.into(), now.into()];
    values.extend(columns);
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
}

fn json_error(e: serde_json::Error) -> DbErr {
    DbErr::Custom(format!("an event could not be written as JSON: {e}"))
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

//! What people see of deliveries: lists by keyset, one with its attempts.

use chrono::NaiveDate;
use chrono_tz::Tz;
use platform::{clock, db::Db, ids};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use super::rules::{Status, state};
use crate::entities::delivery_attempt;

/// Attempts shown at once.
pub const ATTEMPTS: u64 = 50;

/// Which deliveries are asked for.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only this partner's.
    pub partner_id: Option<i64>,
    pub subscription_id: Option<i64>,
    /// Order number.
    pub number: Option<String>,
    /// What happened to the order: `pay`, …
    pub event: Option<String>,
    pub status: Option<Status>,
    /// First and last day of their making, both inclusive.
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
    /// Only those before this one.
    pub before: Option<i64>,
}

/// A delivery with the change it carries.
#[derive(Debug, FromQueryResult)]
pub struct Row {
    pub id: i64,
    pub subscription_id: i64,
    pub partner_id: i64,
    pub status: i16,
    pub tries: i32,
    pub last_status: i32,
    pub last_error: String,
    pub finished_at: i64,
    pub event_id: String,
    pub number: String,
    pub order_seq: i64,
    pub event: String,
    pub changed_at: i64,
    /// `None` once it is out of the queue.
    pub queue_state: Option<i16>,
    pub next_attempt_at: Option<i64>,
    pub lease: Option<i64>,
}

impl Row {
    /// When it is tried next (unix ms); 0 = it is not, or it is being sent, or it waits behind another.
    pub fn next_try(&self) -> i64 {
        match (self.queue_state, self.lease) {
            (Some(state::READY), Some(0)) => self.next_attempt_at.unwrap_or(0),
            _ => 0,
        }
    }
}

const COLUMNS: &str = "d.id, d.subscription_id, d.partner_id, d.status, d.tries, d.last_status, d.last_error,
    d.finished_at, COALESCE(c.event_id, p.event_id) AS event_id, COALESCE(c.number, '') AS number,
    COALESCE(c.order_seq, 0) AS order_seq, COALESCE(c.event, 'batch') AS event, COALESCE(c.changed_at, 0) AS changed_at,
    q.state AS queue_state, q.next_attempt_at, q.lease";

/// What a delivery carries: a change of the feed, or a batch pushed by the drop-in entry.
const BYTES: &str =
    "LEFT JOIN order_change c ON c.seq = d.change_seq LEFT JOIN push_batch p ON p.id = -d.change_seq";

/// The condition under construction.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, before: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.sql.push(format!("{before} ${}", self.values.len()));
    }
}

/// Newest first, at most `limit`.
pub async fn list(db: &Db, filter: &Filter, tz: Tz, limit: u64) -> Result<Vec<Row>, DbErr> {
    let mut where_ = Conditions::default();
    // What is not finished is few: those lists walk the queue, not the history.
    let (from, key) = match filter.status {
        Some(Status::Waiting | Status::Parked) => {
            ("delivery_queue q JOIN delivery d ON d.id = q.delivery_id", "q.delivery_id")
        }
        _ => ("delivery d LEFT JOIN delivery_queue q ON q.delivery_id = d.id", "d.id"),
    };
    if let Some(status) = filter.status {
        where_.add("d.status =", status as i16);
    }
    if let Some(partner_id) = filter.partner_id {
        where_.add("d.partner_id =", partner_id);
    }
    if let Some(subscription_id) = filter.subscription_id {
        where_.add("d.subscription_id =", subscription_id);
    }
    if let Some(number) = &filter.number {
        where_.add("c.number =", number.as_str());
    }
    if let Some(event) = &filter.event {
        where_.add("c.event =", event.as_str());
    }
    if let Some(start) = filter.start {
        where_.add(&format!("{key} >="), ids::floor_at(clock::day_start_ms(start, tz)));
    }
    if let Some(after) = filter.end.and_then(|end| end.succ_opt()) {
        where_.add(&format!("{key} <"), ids::floor_at(clock::day_start_ms(after, tz)));
    }
    if let Some(before) = filter.before {
        where_.add(&format!("{key} <"), before);
    }
    let condition = if where_.sql.is_empty() { "true".to_owned() } else { where_.sql.join(" AND ") };
    let sql = format!(
        "SELECT {COLUMNS} FROM {from} {BYTES}
        WHERE {condition} ORDER BY {key} DESC LIMIT {limit}"
    );
    let statement = Statement::from_sql_and_values(db.conn().get_database_backend(), sql, where_.values);
    Row::find_by_statement(statement).all(db.conn()).await
}

/// One delivery, if it is in `scope`; with the body it carries in its subscription's dialect.
pub async fn find(db: &Db, id: i64, scope: Option<i64>) -> Result<Option<(Row, Body)>, DbErr> {
    let sql = format!(
        "SELECT {COLUMNS}, s.dialect,
            CASE WHEN s.dialect = 'gth' THEN COALESCE(c.gth, p.gth) ELSE COALESCE(c.standard, p.standard) END AS body
        FROM delivery d LEFT JOIN delivery_queue q ON q.delivery_id = d.id {BYTES}
        JOIN subscription s ON s.id = d.subscription_id
        WHERE d.id = $1 AND ($2 < 0 OR d.partner_id = $2)"
    );
    let values = [id.into(), scope.unwrap_or(-1).into()];
    let statement = Statement::from_sql_and_values(db.conn().get_database_backend(), sql, values);
    let Some(row) = sea_orm::ConnectionTrait::query_one_raw(db.conn(), statement).await? else {
        return Ok(None);
    };
    Ok(Some((Row::from_query_result(&row, "")?, Body::from_query_result(&row, "")?)))
}

/// The stored bytes of a delivery.
#[derive(Debug, FromQueryResult)]
pub struct Body {
    pub dialect: String,
    pub body: String,
}

/// An alert as stored.
#[derive(Debug, FromQueryResult)]
pub struct AlertRow {
    pub id: i64,
    pub partner_id: i64,
    pub subscription_id: i64,
    pub level: i32,
    pub failing_since: i64,
}

/// Newest first, at most `limit`.
pub async fn alerts(
    db: &Db,
    partner_id: Option<i64>,
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<AlertRow>, DbErr> {
    let sql = format!(
        "SELECT id, partner_id, subscription_id, level, failing_since FROM callback_alert
        WHERE ($1 < 0 OR partner_id = $1) AND id < $2 ORDER BY id DESC LIMIT {limit}"
    );
    let values = [partner_id.unwrap_or(-1).into(), before.unwrap_or(i64::MAX).into()];
    let statement = Statement::from_sql_and_values(db.conn().get_database_backend(), sql, values);
    AlertRow::find_by_statement(statement).all(db.conn()).await
}

/// Attempts of a delivery before `before`, newest first, one more than [`ATTEMPTS`].
pub async fn attempts(
    db: &Db,
    delivery_id: i64,
    before: Option<i64>,
) -> Result<Vec<delivery_attempt::Model>, DbErr> {
    delivery_attempt::Entity::find()
        .filter(delivery_attempt::Column::DeliveryId.eq(delivery_id))
        .filter(delivery_attempt::Column::Id.lt(before.unwrap_or(i64::MAX)))
        .order_by_desc(delivery_attempt::Column::Id)
        .limit(ATTEMPTS + 1)
        .all(db.conn())
        .await
}

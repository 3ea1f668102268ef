use std::time::Duration;

use actix_web::web;
use contracts::{
    callbacks::{CallbackEntry, CallbackPlace, CallbackStep, CallbacksUnavailable},
    order_state::FulfilState,
};
use platform::http::{ApiError, Fields, FromFields, Message, Query, RequestContext, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules::{Cursor, Line, merge},
    store,
};
use crate::{
    admin_orders::store::by_number,
    app::Ctx,
    entities::order_history,
    wire::{self, Data, OrderNumber},
};

/// How long the answer waits for sync-service.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order/{number}/timeline", web::get().to(timeline));
}

/// Where to go on.
pub struct TimelineQuery {
    cursor: Cursor,
    limit: u16,
}

impl FromFields for TimelineQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let text = f.optional_text("cursor", 64).filter(|t| !t.is_empty());
        let cursor = text.as_deref().map_or(Some(Cursor::default()), Cursor::parse);
        if cursor.is_none() {
            f.error("cursor", "不是上一页给出的 next_cursor", "is no next_cursor of a page before");
        }
        let limit = f.optional_int("limit", 1..=1000).unwrap_or(100);
        Self { cursor: cursor.unwrap_or_default(), limit: u16::try_from(limit).unwrap_or(1000) }
    }
}

/// One line of the column.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TimelineEntry {
    /// The order changed.
    Change(TimelineChange),
    /// A change came to be told to a subscription.
    Message(TimelineMessage),
    /// A request was made to the receiver of a subscription.
    Attempt(TimelineAttempt),
}

/// One change: who, what, when, why.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineChange {
    pub order_seq: i64,
    /// Unix milliseconds: several changes may fall into one second.
    pub at: i64,
    /// Name of the event in the state tables.
    pub event: String,
    pub actor: EntryActor,
    /// Payment states; 0 = the order did not exist.
    pub from_state: i16,
    pub to_state: i16,
    /// Codes of the fulfilment states; "" = none.
    pub from_fulfil: &'static str,
    pub to_fulfil: &'static str,
    pub reason: String,
    /// Fields that changed beside the states, each with its value before and after.
    #[schema(value_type = Object)]
    pub changed: serde_json::Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryActor {
    /// `account`, `supplier`, `partner`, `customer`, `system`.
    pub kind: String,
    pub id: i64,
    pub name: String,
}

/// A change on its way to one subscription.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineMessage {
    /// The change.
    pub order_seq: i64,
    /// When sync-service took it; unix milliseconds.
    pub at: i64,
    pub subscription_id: i64,
    /// See `/api/callback/delivery/{delivery_id}`.
    pub delivery_id: i64,
    /// Also the `webhook-id`.
    pub event_id: String,
    /// Where it stands now: `waiting`, `delivered`, `parked`, `superseded` or `cancelled`.
    pub status: String,
}

/// One request to a receiver.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineAttempt {
    /// The change.
    pub order_seq: i64,
    /// When it was begun; unix milliseconds.
    pub at: i64,
    pub subscription_id: i64,
    /// See `/api/callback/delivery/{delivery_id}`, which has request and answer.
    pub delivery_id: i64,
    /// Also the `webhook-id`.
    pub event_id: String,
    #[serde(rename = "try")]
    pub try_no: i32,
    pub duration_ms: i64,
    /// 0 = no answer.
    pub http_status: i32,
    pub acknowledged: bool,
    /// Why it was not acknowledged.
    pub error: String,
    /// Unix milliseconds; 0 = not by itself.
    pub next_attempt_at: i64,
}

/// A stretch of an order's life.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    pub data: Vec<TimelineEntry>,
    /// Send it as `cursor` for what follows; "" = that was all.
    pub next_cursor: String,
    pub callbacks: TimelineCallbacks,
}

/// Whether `data` has the messages and attempts of its stretch of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineCallbacks {
    /// false: it has changes alone. What is missing comes with a later page, or when this one is asked for again.
    pub available: bool,
    /// Why not, for people; "" = all is well.
    pub reason: String,
}

impl From<Line> for TimelineEntry {
    fn from(line: Line) -> Self {
        match line {
            Line::Change(change) => Self::Change(change.into()),
            Line::Callback(entry) => Self::from(entry),
        }
    }
}

impl From<order_history::Model> for TimelineChange {
    fn from(h: order_history::Model) -> Self {
        let code =
            |n: Option<i16>| n.and_then(|n| FulfilState::try_from(n).ok()).map_or("", FulfilState::code);
        Self {
            order_seq: h.seq,
            at: h.at,
            event: h.event,
            actor: EntryActor { kind: h.actor_kind, id: h.actor_id, name: h.actor_name },
            from_state: h.from_state.unwrap_or(0),
            to_state: h.to_state,
            from_fulfil: code(h.from_fulfil),
            to_fulfil: code(h.to_fulfil),
            reason: h.reason,
            changed: serde_json::from_str(&h.changed).unwrap_or_default(),
        }
    }
}

impl From<CallbackEntry> for TimelineEntry {
    fn from(entry: CallbackEntry) -> Self {
        let CallbackEntry { place, order_seq, subscription_id, delivery_id, event_id, step } = entry;
        let at = place.at;
        match step {
            CallbackStep::Message { status } => Self::Message(TimelineMessage {
                order_seq,
                at,
                subscription_id,
                delivery_id,
                event_id,
                status,
            }),
            CallbackStep::Attempt {
                try_no,
                duration_ms,
                http_status,
                acknowledged,
                error,
                next_attempt_at,
            } => Self::Attempt(TimelineAttempt {
                order_seq,
                at,
                subscription_id,
                delivery_id,
                event_id,
                try_no,
                duration_ms,
                http_status,
                acknowledged,
                error,
                next_attempt_at,
            }),
        }
    }
}

/// An order's life in one column of time, oldest first: its changes, the messages to subscriptions, the attempts to
/// deliver them. Pushed batches of the drop-in entry are no part of it: they carry many orders.
#[utoipa::path(get, path = "/api/order/{number}/timeline", operation_id = "ORDER_TIMELINE", tag = "orders",
    params(("number" = String, Path), ("cursor" = Option<String>, Query),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 100")),
    responses((status = 200, body = Data<Timeline>), (status = 404, description = "no such order")))]
pub async fn timeline(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    number: web::Path<OrderNumber>,
    query: Query<TimelineQuery>,
) -> Result<web::Json<Data<Timeline>>, ApiError> {
    let TimelineQuery { cursor, limit } = query.into_inner();
    let conn = ctx.platform.db.conn();
    let order = by_number(conn, &number).await?.ok_or_else(wire::no_such_order)?;
    let one_more = u64::from(limit) + 1;
    let changes = store::history(conn, order.id, cursor.seq, one_more).await?;
    let (callbacks, state) = callbacks(&ctx, &number, cursor.callbacks, one_more).await;
    let (lines, next) = merge(changes, callbacks, usize::from(limit), cursor);
    let next_cursor = next.map(Cursor::text).unwrap_or_default();
    let data = lines.into_iter().map(TimelineEntry::from).collect();
    Ok(web::Json(Data::of(Timeline { data, next_cursor, callbacks: state })))
}

/// What sync-service tells, if it does so in time.
async fn callbacks(
    ctx: &Ctx,
    number: &str,
    after: CallbackPlace,
    limit: u64,
) -> (Vec<CallbackEntry>, TimelineCallbacks) {
    let asked = tokio::time::timeout(PATIENCE, ctx.callbacks.of_order(number, after, limit)).await;
    let late = |_| Err(CallbacksUnavailable(format!("not within {} s", PATIENCE.as_secs())));
    match asked.unwrap_or_else(late) {
        Ok(entries) => (entries, TimelineCallbacks { available: true, reason: String::new() }),
        Err(e) => {
            let context = RequestContext::current();
            tracing::warn!(request_id = context.request_id, number, "a timeline lacks its callbacks: {e}");
            let reason = Message::new(
                "sync-service 没有应答，此页只有订单变更，没有消息和回调尝试；请稍后重试",
                "sync-service did not answer: this page has changes alone, without messages and callback attempts; try again later",
            );
            (Vec::new(), TimelineCallbacks { available: false, reason: reason.text(context.language).into() })
        }
    }
}

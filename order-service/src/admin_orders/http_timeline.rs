//! What happened to an order, change by change. The callbacks about it are sync-service's to tell.

use actix_web::web;
use contracts::order_state::FulfilState;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::store;
use crate::{
    app::Ctx,
    entities::order_history,
    wire::{self, Data, OrderNumber},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order/{number}/timeline", web::get().to(timeline));
}

/// Where to go on.
pub struct TimelineQuery {
    cursor: i64,
    limit: u64,
}

impl FromFields for TimelineQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            cursor: f.optional_int("cursor", 0..=i64::MAX).unwrap_or(0),
            limit: f.optional_int("limit", 1..=1000).unwrap_or(100).unsigned_abs(),
        }
    }
}

/// One change: who, what, when, why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// `change`.
    pub kind: &'static str,
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

/// A stretch of an order's life.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    pub data: Vec<Entry>,
    /// Send it as `cursor` for what follows; 0 = that was all.
    pub next_cursor: i64,
}

impl From<order_history::Model> for Entry {
    fn from(h: order_history::Model) -> Self {
        let code =
            |n: Option<i16>| n.and_then(|n| FulfilState::try_from(n).ok()).map_or("", FulfilState::code);
        Self {
            kind: "change",
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

/// An order's changes, oldest first.
#[utoipa::path(get, path = "/api/order/{number}/timeline", operation_id = "ORDER_TIMELINE", tag = "orders",
    params(("number" = String, Path), ("cursor" = Option<i64>, Query), ("limit" = Option<u64>, Query)),
    responses((status = 200, body = Data<Timeline>), (status = 404, description = "no such order")))]
pub async fn timeline(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    number: web::Path<OrderNumber>,
    query: Query<TimelineQuery>,
) -> Result<web::Json<Data<Timeline>>, ApiError> {
    let conn = ctx.platform.db.conn();
    let order = store::by_number(conn, &number).await?.ok_or_else(wire::no_such_order)?;
    let rows = store::history(conn, order.id, query.cursor, query.limit).await?;
    let full = rows.len() as u64 == query.limit;
    let next_cursor = rows.last().filter(|_| full).map_or(0, |h| h.seq);
    Ok(web::Json(Data::of(Timeline { data: rows.into_iter().map(Entry::from).collect(), next_cursor })))
}

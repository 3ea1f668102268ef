use actix_web::web::{self, Json};
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    dialects,
    rules::{self, Status},
    store_reads::{self, ATTEMPTS, Filter, Row},
};
use crate::{
    Ctx,
    entities::delivery_attempt,
    subscriptions::rules::is_event_name,
    wire::{Data, Stretch, seconds, stretch},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/callback/delivery").route(web::get().to(list)))
        .service(web::resource("/api/callback/delivery/{delivery_id}").route(web::get().to(info)));
}

/// A delivery. Times are unix seconds, 0 = none.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    pub id: i64,
    pub subscription_id: i64,
    pub partner_id: i64,
    /// The order's number.
    pub number: String,
    pub order_seq: i64,
    /// What happened to the order.
    pub event: String,
    /// Also the `webhook-id`, the same on every try.
    pub event_id: String,
    /// `waiting`, `delivered`, `parked`, `superseded` or `cancelled`.
    pub status: &'static str,
    pub tries: i32,
    /// HTTP status of the last try, 0 = no answer.
    pub last_status: i32,
    pub last_error: String,
    /// 0 also while it is being sent or waits behind an earlier change of its order.
    pub next_attempt_at: i64,
    pub changed_at: i64,
    pub finished_at: i64,
}

impl From<Row> for Delivery {
    fn from(row: Row) -> Self {
        Self {
            next_attempt_at: seconds(row.next_try()),
            id: row.id,
            subscription_id: row.subscription_id,
            partner_id: row.partner_id,
            number: row.number,
            order_seq: row.order_seq,
            event: row.event,
            event_id: row.event_id,
            status: Status::from_number(row.status).word(),
            tries: row.tries,
            last_status: row.last_status,
            last_error: row.last_error,
            changed_at: seconds(row.changed_at),
            finished_at: seconds(row.finished_at),
        }
    }
}

/// One request that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    pub id: i64,
    #[serde(rename = "try")]
    pub try_no: i32,
    pub started_at: i64,
    pub duration_ms: i64,
    /// 0 = no answer.
    pub http_status: i32,
    pub acknowledged: bool,
    pub error: String,
    /// At most 16 KiB.
    pub answer: String,
    pub url: String,
    /// The `webhook-signature` as sent.
    pub signature: String,
    /// The `sign` of the gth dialect as sent.
    pub sign: String,
    pub next_attempt_at: i64,
    /// The request as a command for a shell.
    pub curl: String,
}

impl Attempt {
    fn new(a: delivery_attempt::Model, event_id: &str, body: &store_reads::Body) -> Self {
        Self {
            curl: rules::curl(&rules::Request {
                url: &a.url,
                content_type: dialects::content_type_of(&body.dialect),
                event_id,
                timestamp: seconds(a.started_at),
                signature: &a.signature,
                body: &body.body,
                sign: &a.sign,
            }),
            id: a.id,
            try_no: a.try_no,
            started_at: seconds(a.started_at),
            duration_ms: a.duration_ms,
            http_status: a.http_status,
            acknowledged: a.acknowledged,
            error: a.error,
            answer: a.answer,
            url: a.url,
            signature: a.signature,
            sign: a.sign,
            next_attempt_at: seconds(a.next_attempt_at),
        }
    }
}

/// A delivery with its bytes and its attempts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail {
    #[serde(flatten)]
    pub delivery: Delivery,
    pub dialect: String,
    /// The stored bytes; the gth dialect adds its `sign` when it sends them.
    pub body: String,
    pub attempts: Vec<Attempt>,
    /// For `cursor`, to see older attempts; "" at the end.
    pub next_cursor: String,
}

/// Which deliveries to list.
#[derive(Debug)]
pub struct ListQuery {
    filter: Filter,
    limit: i64,
}

impl FromFields for ListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let event = f.optional_text("event", 64).filter(|e| !e.is_empty());
        if event.as_deref().is_some_and(|e| !is_event_name(e)) {
            f.error("event", "不是有效的事件名", "is no event name");
        }
        let word = f.optional_text("status", 16).filter(|w| !w.is_empty());
        let status = word.as_deref().and_then(Status::from_word);
        if word.is_some() && status.is_none() {
            let known = Status::ALL.map(Status::word).join(", ");
            f.error("status", format!("只能是 {known} 之一"), format!("must be one of {known}"));
        }
        let filter = Filter {
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            subscription_id: f.optional_int("subscription_id", 1..=i64::MAX),
            number: f.optional_text("number", 32).filter(|n| !n.is_empty()),
            event,
            status,
            start: f.optional_date("start"),
            end: f.optional_date("end"),
            before: f.optional_int("cursor", 1..=i64::MAX),
        };
        Self { filter, limit: f.optional_int("limit", 1..=1000).unwrap_or(20) }
    }
}

/// From where on attempts are shown.
#[derive(Debug)]
pub struct DetailQuery {
    before: Option<i64>,
}

impl FromFields for DetailQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { before: f.optional_int("cursor", 1..=i64::MAX) }
    }
}

#[utoipa::path(get, path = "/api/callback/delivery", operation_id = "CALLBACK_DELIVERY_LIST", tag = "delivery",
    params(("number" = Option<String>, Query, description = "order number"), ("partner_id" = Option<i64>, Query),
        ("subscription_id" = Option<i64>, Query), ("event" = Option<String>, Query), ("status" = Option<String>, Query),
        ("start" = Option<String>, Query, description = "first day"), ("end" = Option<String>, Query, description = "last day"),
        ("cursor" = Option<i64>, Query), ("limit" = Option<i64>, Query, description = "1 to 1000, default 20")),
    responses((status = 200, body = Data<Stretch<Delivery>>)))]
async fn list(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<ListQuery>,
) -> Result<Json<Data<Stretch<Delivery>>>, ApiError> {
    let ListQuery { mut filter, limit } = query.into_inner();
    filter.partner_id = identity.partner_scope().or(filter.partner_id);
    let limit = limit.unsigned_abs();
    let mut rows = store_reads::list(&ctx.platform.db, &filter, ctx.platform.tz, limit + 1).await?;
    let next_cursor = stretch(&mut rows, limit, |row| row.id);
    Ok(Json(Data::new(Stretch { data: rows.into_iter().map(Delivery::from).collect(), next_cursor })))
}

#[utoipa::path(get, path = "/api/callback/delivery/{delivery_id}", operation_id = "CALLBACK_DELIVERY_INFO", tag = "delivery",
    params(("delivery_id" = i64, Path), ("cursor" = Option<i64>, Query)), responses((status = 200, body = Data<Detail>)))]
async fn info(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    query: Query<DetailQuery>,
) -> Result<Json<Data<Detail>>, ApiError> {
    let db = &ctx.platform.db;
    let found = store_reads::find(db, *id, identity.partner_scope()).await?;
    let (row, body) = found.ok_or_else(|| ApiError::not_found("投递不存在", "no such delivery"))?;
    let mut attempts = store_reads::attempts(db, *id, query.before).await?;
    let next_cursor = stretch(&mut attempts, ATTEMPTS, |a| a.id);
    let attempts = attempts.into_iter().map(|a| Attempt::new(a, &row.event_id, &body)).collect();
    let detail =
        Detail { delivery: row.into(), dialect: body.dialect, body: body.body, attempts, next_cursor };
    Ok(Json(Data::new(detail)))
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, info), components(schemas(Delivery, Detail, Attempt)))]
pub struct Doc;

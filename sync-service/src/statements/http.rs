use std::collections::HashMap;

use actix_web::web::{self, Json};
use chrono::NaiveDate;
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, Query, caller::Identity},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules,
    service::{self, StatementError},
};
use crate::{Ctx, subscriptions::http_actions::Counted, wire::Data};

/// Orders a caller may say it has.
const MOST_HELD: usize = 10_000;

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/callback/statement")
            .route(web::get().to(statement))
            .route(web::post().to(lacking)),
    );
}

/// The last change of an order on the day.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderLast {
    pub number: String,
    pub order_seq: i64,
}

/// The day's proof. The list behind it: one line `number,order_seq,event_id` for each change, sorted by number and
/// order_seq, each ended by a line feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statement {
    pub partner_id: i64,
    pub date: String,
    /// Changes of the day.
    pub count: usize,
    /// Of the whole list, lower hex.
    pub sha256: String,
    /// Orders that changed.
    pub orders: usize,
    /// By number, a stretch of them.
    pub data: Vec<OrderLast>,
    /// For `cursor`; "" at the end.
    pub next_cursor: String,
}

#[derive(Debug)]
pub struct StatementQuery {
    partner_id: Option<i64>,
    date: NaiveDate,
    cursor: String,
    limit: usize,
}

impl FromFields for StatementQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let limit = f.optional_int("limit", 1..=10_000).unwrap_or(1000);
        Self {
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            date: f.required_date("date"),
            cursor: f.optional_text("cursor", 32).unwrap_or_default(),
            limit: usize::try_from(limit).unwrap_or(1000),
        }
    }
}

/// What a partner has of a day.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `LackWish` is read from
pub struct LackRequest {
    subscription_id: i64,
    /// `YYYY-MM-DD`
    date: String,
    /// Of each order the highest `order_seq` it has; orders that are left out are sent whole.
    have: Option<Vec<Held>>,
    /// Only count.
    dry_run: Option<bool>,
}

#[derive(Debug, ToSchema)]
#[allow(dead_code)] // a row of `LackRequest`
pub struct Held {
    number: String,
    order_seq: i64,
}

#[derive(Debug)]
pub struct LackWish {
    subscription_id: i64,
    date: NaiveDate,
    have: HashMap<String, i64>,
    dry_run: bool,
}

impl FromFields for LackWish {
    fn read(f: &mut Fields<'_>) -> Self {
        let have = f.optional_list("have", MOST_HELD, |f| {
            (f.required_text("number", 32), f.required_int("order_seq", 0..=i64::MAX))
        });
        Self {
            subscription_id: f.required_int("subscription_id", 1..=i64::MAX),
            date: f.required_date("date"),
            have: have.unwrap_or_default().into_iter().collect(),
            dry_run: f.optional_bool("dry_run").unwrap_or(false),
        }
    }
}

impl From<StatementError> for ApiError {
    fn from(e: StatementError) -> Self {
        match e {
            StatementError::TooMany => {
                Self::refused("当天变更过多，无法出具对账单", "too many changes on that day for a statement")
            }
            StatementError::Subscription(e) => e.into(),
            StatementError::Db(e) => e.into(),
        }
    }
}

/// What happened to a partner's orders on a day, to be compared with what arrived.
#[utoipa::path(get, path = "/api/callback/statement", operation_id = "CALLBACK_STATEMENT", tag = "statements",
    params(("date" = String, Query, description = "YYYY-MM-DD"), ("partner_id" = Option<i64>, Query, description = "operators only; default 0"),
        ("cursor" = Option<String>, Query), ("limit" = Option<i64>, Query, description = "1 to 10000, default 1000")),
    responses((status = 200, body = Data<Statement>)))]
async fn statement(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<StatementQuery>,
) -> Result<Json<Data<Statement>>, ApiError> {
    let StatementQuery { partner_id, date, cursor, limit } = query.into_inner();
    let partner_id = identity.partner_scope().or(partner_id).unwrap_or(0);
    let proof = rules::proof(service::entries(&ctx, partner_id, date).await?);
    let orders = proof.last_seqs.len();
    let rest = proof.last_seqs.into_iter().filter(|(number, _)| *number > cursor);
    let mut data: Vec<OrderLast> =
        rest.take(limit + 1).map(|(number, order_seq)| OrderLast { number, order_seq }).collect();
    let more = data.len() > limit;
    data.truncate(limit);
    let next_cursor = data.last().filter(|_| more).map(|o| o.number.clone()).unwrap_or_default();
    let (count, sha256, date) = (proof.count, proof.sha256, date.to_string());
    Ok(Json(Data::new(Statement { partner_id, date, count, sha256, orders, data, next_cursor })))
}

/// Sends a subscription what its partner lacks of a day; at most 10,000 changes a call.
#[utoipa::path(post, path = "/api/callback/statement", operation_id = "CALLBACK_STATEMENT_LACKING", tag = "statements",
    request_body = LackRequest, responses((status = 200, body = Data<Counted>)))]
async fn lacking(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<LackWish>,
) -> Result<Json<Data<Counted>>, ApiError> {
    let LackWish { subscription_id, date, have, dry_run } = body.into_inner();
    let of = (subscription_id, identity.partner_scope());
    let (count, has_more) =
        service::send_lacking(&ctx, &Who::from(&identity), of, date, &have, dry_run).await?;
    Ok(Json(Data::new(Counted { count, has_more, dry_run })))
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(paths(statement, lacking), components(schemas(Statement, OrderLast, LackRequest, Held)))]
pub struct Doc;

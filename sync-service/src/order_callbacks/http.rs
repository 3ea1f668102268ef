use actix_web::web::{self, Json};
use platform::{
    clock,
    http::{ApiError, RequestContext, caller::Identity},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::rules::{self, Front, Standing};
use crate::{
    Ctx,
    changes::store::{self, Line},
    delivery::{
        Status,
        http::Delivery,
        store_reads::{self, Filter, Row},
    },
    entities::subscription::Model,
    subscriptions,
    wire::{Data, seconds},
};

/// Changes and deliveries of one order that are looked at, newest first.
const MOST: u64 = 1_000;

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/order/{number}/callbacks").route(web::get().to(callbacks)));
}

/// A change of the order, as the feed has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeRow {
    pub order_seq: i64,
    pub event: String,
    pub event_id: String,
    /// Unix seconds.
    pub changed_at: i64,
}

/// Where a subscription stands with this order.
#[derive(Debug, Serialize, ToSchema)]
pub struct StandingRow {
    pub subscription_id: i64,
    pub url: String,
    pub status: String,
    pub status_reason: String,
    pub delivered: usize,
    pub waiting: usize,
    pub parked: usize,
}

/// Why the partner has (not) got it, with the evidence.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    pub number: String,
    pub partner_id: i64,
    /// One sentence for people.
    pub sentence: String,
    pub changes: Vec<ChangeRow>,
    pub subscriptions: Vec<StandingRow>,
    /// Newest first; attempts by `/api/callback/delivery/{id}`.
    pub deliveries: Vec<Delivery>,
}

/// Why the partner has (not) got the order's changes: one sentence, and the evidence.
#[utoipa::path(get, path = "/api/order/{number}/callbacks", operation_id = "ORDER_CALLBACKS", tag = "order_callbacks",
    params(("number" = String, Path)), responses((status = 200, body = Data<Explanation>)))]
async fn callbacks(
    ctx: web::Data<Ctx>,
    identity: Identity,
    number: web::Path<String>,
) -> Result<Json<Data<Explanation>>, ApiError> {
    let (db, scope) = (&ctx.platform.db, identity.partner_scope());
    let lines = if rules::is_number(&number) {
        store::of_order(db.conn(), &number, scope, MOST).await?
    } else {
        Vec::new()
    };
    let Some(partner_id) = lines.first().map(|line| line.partner_id) else {
        return Err(ApiError::not_found(
            "订单不存在，或尚无变更",
            "no such order, or nothing has happened to it yet",
        ));
    };
    let filter =
        Filter { number: Some(number.to_string()), partner_id: Some(partner_id), ..Filter::default() };
    let rows = store_reads::list(db, &filter, ctx.platform.tz, MOST).await?;
    let subscriptions = subscriptions::store::of_partner(db, partner_id).await?;
    let standings: Vec<(Standing, &Model)> = subscriptions
        .iter()
        .filter(|s| concerned(s, &lines, &rows))
        .map(|s| (standing(&ctx, s, &rows), s))
        .collect();
    let known: Vec<Standing> = standings.iter().map(|(standing, _)| standing.clone()).collect();
    let sentence = rules::sentence(lines.len(), &known).text(RequestContext::current().language).to_owned();
    let subscriptions = standings.into_iter().map(standing_row).collect();
    let changes = lines
        .into_iter()
        .map(|l| ChangeRow {
            order_seq: l.order_seq,
            event: l.event,
            event_id: l.event_id,
            changed_at: seconds(l.changed_at),
        })
        .collect();
    let deliveries = rows.into_iter().map(Delivery::from).collect();
    let number = number.into_inner();
    Ok(Json(Data::new(Explanation { number, partner_id, sentence, changes, subscriptions, deliveries })))
}

/// Has it deliveries of this order, or would it have some today?
fn concerned(subscription: &Model, lines: &[Line], rows: &[Row]) -> bool {
    let wants = subscriptions::store::matcher(subscription)
        .is_ok_and(|m| lines.iter().any(|l| m.wants(l.partner_id, l.source, &l.event)));
    wants || rows.iter().any(|row| row.subscription_id == subscription.id)
}

fn standing(ctx: &Ctx, subscription: &Model, rows: &[Row]) -> Standing {
    let text = |ms: i64| clock::local_text(ms, ctx.platform.tz);
    let mine: Vec<&Row> = rows.iter().filter(|row| row.subscription_id == subscription.id).collect();
    let count = |status: Status| mine.iter().filter(|row| row.status == status as i16).count();
    let front =
        mine.iter().filter(|row| row.status == Status::Waiting as i16).min_by_key(|row| row.order_seq);
    Standing {
        subscription_id: subscription.id,
        status: subscription.status.clone(),
        status_reason: subscription.status_reason.clone(),
        delivered: count(Status::Delivered),
        parked: count(Status::Parked),
        waiting: count(Status::Waiting),
        front: front.map(|row| Front {
            order_seq: row.order_seq,
            tries: row.tries,
            last_error: row.last_error.clone(),
            next_attempt: text(row.next_try()),
        }),
        last_delivered: text(
            mine.iter()
                .filter(|row| row.status == Status::Delivered as i16)
                .map(|row| row.finished_at)
                .max()
                .unwrap_or(0),
        ),
    }
}

fn standing_row((s, row): (Standing, &Model)) -> StandingRow {
    StandingRow {
        subscription_id: s.subscription_id,
        url: row.url.clone(),
        status: s.status,
        status_reason: s.status_reason,
        delivered: s.delivered,
        waiting: s.waiting,
        parked: s.parked,
    }
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(paths(callbacks), components(schemas(Explanation, ChangeRow, StandingRow)))]
pub struct Doc;

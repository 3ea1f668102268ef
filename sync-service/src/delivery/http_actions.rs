//! What people do with deliveries, and what they see of receivers that fail.

use actix_web::web::{self, Json};
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, Query, caller::Identity},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    house_key,
    recovery::{self, Parked},
    store, store_reads,
};
use crate::{
    Ctx,
    moment::Moment,
    subscriptions::http_actions::Counted,
    wire::{Data, Id, Stretch, seconds, stretch},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    // Before /{delivery_id}.
    cfg.service(web::resource("/api/callback/delivery/recover").route(web::post().to(recover)))
        .service(web::resource("/api/callback/delivery/{delivery_id}/resend").route(web::post().to(resend)))
        .service(web::resource("/api/callback/alert").route(web::get().to(alerts)))
        .service(web::resource("/api/callback/keys").route(web::get().to(keys)));
}

/// Which parked deliveries go again.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `RecoverWish` is read from
pub struct RecoverRequest {
    /// Those made since: `YYYY-MM-DD HH:MM:SS` or a day.
    since: String,
    subscription_id: Option<i64>,
    /// Operators only.
    partner_id: Option<i64>,
    /// Only count.
    dry_run: Option<bool>,
}

#[derive(Debug)]
pub struct RecoverWish {
    since: Option<Moment>,
    subscription_id: Option<i64>,
    partner_id: Option<i64>,
    dry_run: bool,
}

impl FromFields for RecoverWish {
    fn read(f: &mut Fields<'_>) -> Self {
        let since = Moment::field(f, "since");
        if !f.has("since") {
            f.error("since", "不能为空", "is required");
        }
        Self {
            since,
            subscription_id: f.optional_int("subscription_id", 1..=i64::MAX),
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            dry_run: f.optional_bool("dry_run").unwrap_or(false),
        }
    }
}

/// A receiver that acknowledges nothing. Times are unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alert {
    pub id: i64,
    pub partner_id: i64,
    pub subscription_id: i64,
    /// Percent of the failure budget: 50, 70, 90, or 100, at which the subscription was disabled.
    pub level: i32,
    pub failing_since: i64,
    pub raised_at: i64,
}

/// A public key for `v1a` signatures.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKey {
    /// `whpk_` and the Ed25519 key in base64.
    pub public_key: String,
    pub created_at: i64,
}

/// From where on to list.
#[derive(Debug)]
pub struct AlertQuery {
    partner_id: Option<i64>,
    before: Option<i64>,
    limit: u64,
}

impl FromFields for AlertQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            before: f.optional_int("cursor", 1..=i64::MAX),
            limit: f.optional_int("limit", 1..=1000).unwrap_or(20).unsigned_abs(),
        }
    }
}

/// Sends one delivery again, whatever became of it.
#[utoipa::path(post, path = "/api/callback/delivery/{delivery_id}/resend", operation_id = "CALLBACK_DELIVERY_RESEND",
    tag = "delivery", params(("delivery_id" = i64, Path)), responses((status = 200, body = Data<Id>)))]
async fn resend(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Id>>, ApiError> {
    if !recovery::resend(&ctx, &Who::from(&identity), *id, identity.partner_scope()).await? {
        return Err(ApiError::not_found(
            "投递不存在或其订阅已删除",
            "no such delivery, or its subscription is deleted",
        ));
    }
    Ok(Json(Data::new(Id { id: *id })))
}

/// Sends parked deliveries again; with `dry_run` only counts them.
#[utoipa::path(post, path = "/api/callback/delivery/recover", operation_id = "CALLBACK_DELIVERY_RECOVER", tag = "delivery",
    request_body = RecoverRequest, responses((status = 200, body = Data<Counted>)))]
async fn recover(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<RecoverWish>,
) -> Result<Json<Data<Counted>>, ApiError> {
    let wish = body.into_inner();
    let parked = Parked {
        partner_id: identity.partner_scope().or(wish.partner_id),
        subscription_id: wish.subscription_id,
        since: wish.since.map_or(0, |m| m.first_ms(ctx.platform.tz)),
    };
    let there = usize::try_from(store::count_parked(&ctx.platform.db, parked).await?).unwrap_or(0);
    let count =
        if wish.dry_run { there } else { recovery::recover(&ctx, &Who::from(&identity), parked).await? };
    Ok(Json(Data::new(Counted { count, has_more: there > count, dry_run: wish.dry_run })))
}

/// Receivers that acknowledged nothing for long, newest first.
#[utoipa::path(get, path = "/api/callback/alert", operation_id = "CALLBACK_ALERT_LIST", tag = "delivery",
    params(("partner_id" = Option<i64>, Query), ("cursor" = Option<i64>, Query), ("limit" = Option<i64>, Query)),
    responses((status = 200, body = Data<Stretch<Alert>>)))]
async fn alerts(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<AlertQuery>,
) -> Result<Json<Data<Stretch<Alert>>>, ApiError> {
    let partner_id = identity.partner_scope().or(query.partner_id);
    let mut rows = store_reads::alerts(&ctx.platform.db, partner_id, query.before, query.limit + 1).await?;
    let next_cursor = stretch(&mut rows, query.limit, |a| a.id);
    let data = rows
        .into_iter()
        .map(|a| Alert {
            raised_at: seconds(platform::ids::made_at_ms(a.id)),
            id: a.id,
            partner_id: a.partner_id,
            subscription_id: a.subscription_id,
            level: a.level,
            failing_since: seconds(a.failing_since),
        })
        .collect();
    Ok(Json(Data::new(Stretch { data, next_cursor })))
}

/// The public keys that `v1a` signatures are checked with, newest first.
#[utoipa::path(get, path = "/api/callback/keys", operation_id = "CALLBACK_KEYS", tag = "delivery",
    responses((status = 200, body = Data<Vec<PublicKey>>)))]
async fn keys(ctx: web::Data<Ctx>) -> Result<Json<Data<Vec<PublicKey>>>, ApiError> {
    let keys = house_key::published(&ctx.platform).await?;
    let keys = keys
        .into_iter()
        .map(|k| PublicKey { public_key: k.public_key, created_at: seconds(k.created_at) })
        .collect();
    Ok(Json(Data::new(keys)))
}

/// The OpenAPI part of these actions.
#[derive(utoipa::OpenApi)]
#[openapi(paths(resend, recover, alerts, keys), components(schemas(RecoverRequest, Alert, PublicKey)))]
pub struct Doc;

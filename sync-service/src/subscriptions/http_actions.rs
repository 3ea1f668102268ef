//! What people do with a subscription besides changing it.

use actix_web::web::{self, Json};
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, caller::Identity},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    http::Made,
    rules::SubscriptionStatus,
    service::{self, Changes, SubscriptionError},
    store,
};
use crate::{
    Ctx,
    delivery::{recovery, sender::Exchange, trial},
    entities::subscription::Model,
    moment::Moment,
    wire::{Data, Id},
};

/// Longest overlap of a rotation.
const MAX_OVERLAP_HOURS: i64 = 7 * 24;

pub fn routes(cfg: &mut web::ServiceConfig) {
    let one =
        |action: &str| web::resource(format!("/api/callback/subscription/{{subscription_id}}/{action}"));
    cfg.service(one("pause").route(web::post().to(pause)))
        .service(one("resume").route(web::post().to(resume)))
        .service(one("test").route(web::post().to(test)))
        .service(one("probe").route(web::post().to(probe)))
        .service(one("rotate-secret").route(web::post().to(rotate_secret)))
        .service(one("replay").route(web::post().to(replay)));
}

/// What a test or a probe met.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tried {
    /// Whether the receiver acknowledged.
    acknowledged: bool,
    /// 0 = no answer.
    http_status: u16,
    duration_ms: i64,
    /// Why it was not acknowledged.
    error: String,
    /// At most 16 KiB.
    answer: String,
    /// For a probe: `checks`, `accepts_anything` (it does not look at signatures) or `no_answer`; "" for a test.
    probe_result: &'static str,
}

impl Tried {
    fn new(exchange: Exchange, probe_result: &'static str) -> Self {
        Self {
            acknowledged: exchange.error.is_empty(),
            http_status: exchange.http_status,
            duration_ms: exchange.duration_ms,
            error: exchange.error,
            answer: exchange.answer,
            probe_result,
        }
    }
}

/// How a secret is rotated.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `RotateWish` is read from
pub struct RotateRequest {
    /// Hours both secrets sign, 0 to 168, default 24.
    overlap_hours: Option<i64>,
    /// A new token for the legacy signature; absent = unchanged.
    api_token: Option<String>,
}

#[derive(Debug)]
pub struct RotateWish {
    overlap_hours: i64,
    api_token: Option<SecretString>,
}

impl FromFields for RotateWish {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            overlap_hours: f.optional_int("overlap_hours", 0..=MAX_OVERLAP_HOURS).unwrap_or(24),
            api_token: f.optional_text("api_token", 200).filter(|t| !t.is_empty()).map(SecretString::from),
        }
    }
}

/// The window to replay; either end may be left out.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `ReplayWish` is read from
pub struct ReplayRequest {
    /// `YYYY-MM-DD HH:MM:SS` or a day.
    start: Option<String>,
    end: Option<String>,
    /// Only count.
    dry_run: Option<bool>,
}

#[derive(Debug)]
pub struct ReplayWish {
    start: Option<Moment>,
    end: Option<Moment>,
    dry_run: bool,
}

impl FromFields for ReplayWish {
    fn read(f: &mut Fields<'_>) -> Self {
        let (start, end) = (Moment::field(f, "start"), Moment::field(f, "end"));
        if !f.has("start") {
            f.error("start", "不能为空", "is required");
        }
        Self { start, end, dry_run: f.optional_bool("dry_run").unwrap_or(false) }
    }
}

/// How many deliveries an action concerns.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counted {
    pub count: usize,
    /// There are more: call again.
    pub has_more: bool,
    pub dry_run: bool,
}

async fn found(ctx: &Ctx, identity: &Identity, id: i64) -> Result<Model, ApiError> {
    let row = store::find(ctx.platform.db.conn(), id, identity.partner_scope()).await?;
    Ok(row.ok_or(SubscriptionError::NotFound)?)
}

async fn set_status(
    ctx: &Ctx,
    identity: &Identity,
    id: i64,
    status: SubscriptionStatus,
) -> Result<Json<Data<Id>>, ApiError> {
    let changes = Changes { status: Some(status), ..Changes::default() };
    service::modify(ctx, &Who::from(identity), id, identity.partner_scope(), changes).await?;
    Ok(Json(Data::new(Id { id })))
}

/// Sends nothing more; goes on collecting.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/pause", operation_id = "CALLBACK_SUBSCRIPTION_PAUSE",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Id>)))]
async fn pause(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Id>>, ApiError> {
    set_status(&ctx, &identity, *id, SubscriptionStatus::Paused).await
}

/// Sends again what was collected, also after it was disabled.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/resume", operation_id = "CALLBACK_SUBSCRIPTION_RESUME",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Id>)))]
async fn resume(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Id>>, ApiError> {
    set_status(&ctx, &identity, *id, SubscriptionStatus::Active).await
}

/// Sends a made-up change at once, rightly signed.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/test", operation_id = "CALLBACK_SUBSCRIPTION_TEST",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Tried>)))]
async fn test(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Tried>>, ApiError> {
    let row = found(&ctx, &identity, *id).await?;
    let exchange = trial::test(&ctx, &Who::from(&identity), &row).await?;
    Ok(Json(Data::new(Tried::new(exchange, ""))))
}

/// Sends a made-up change with a wrong signature: a receiver that acknowledges it is flagged.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/probe", operation_id = "CALLBACK_SUBSCRIPTION_PROBE",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Tried>)))]
async fn probe(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Tried>>, ApiError> {
    let row = found(&ctx, &identity, *id).await?;
    let (result, exchange) = trial::probe(&ctx, &Who::from(&identity), &row).await?;
    Ok(Json(Data::new(Tried::new(exchange, result.word()))))
}

/// A new secret; the old one signs beside it for the overlap.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/rotate-secret", operation_id = "CALLBACK_SUBSCRIPTION_ROTATE_SECRET",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), request_body = RotateRequest,
    responses((status = 200, body = Data<Made>)))]
async fn rotate_secret(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<RotateWish>,
) -> Result<Json<Data<Made>>, ApiError> {
    let RotateWish { overlap_hours, api_token } = body.into_inner();
    let overlap_ms = overlap_hours * 3_600_000;
    let (who, scope) = (Who::from(&identity), identity.partner_scope());
    let secret = service::rotate_secret(&ctx, &who, *id, scope, overlap_ms, api_token).await?;
    Ok(Json(Data::new(Made { id: *id, secret: secret.expose_secret().to_owned() })))
}

/// Sends the changes of a window again, with the same `webhook-id`; at most 10,000 a call.
#[utoipa::path(post, path = "/api/callback/subscription/{subscription_id}/replay", operation_id = "CALLBACK_SUBSCRIPTION_REPLAY",
    tag = "subscriptions", params(("subscription_id" = i64, Path)), request_body = ReplayRequest,
    responses((status = 200, body = Data<Counted>)))]
async fn replay(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<ReplayWish>,
) -> Result<Json<Data<Counted>>, ApiError> {
    let row = found(&ctx, &identity, *id).await?;
    let ReplayWish { start, end, dry_run } = body.into_inner();
    let (tz, now) = (ctx.platform.tz, ctx.platform.clock.now_ms());
    let span = (start.map_or(0, |m| m.first_ms(tz)), end.map_or(now, |m| m.last_ms(tz)));
    let (count, has_more) = recovery::replay_window(&ctx, &Who::from(&identity), &row, span, dry_run).await?;
    Ok(Json(Data::new(Counted { count, has_more, dry_run })))
}

/// The OpenAPI part of these actions.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(pause, resume, test, probe, rotate_secret, replay),
    components(schemas(Tried, RotateRequest, ReplayRequest, Counted))
)]
pub struct Doc;

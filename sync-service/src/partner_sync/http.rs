use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use contracts::routes::Dialect;
use platform::http::{ApiError, Merged, RequestContext, caller::Identity, fields};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    access::{Credential, Signatures},
    rules::Params,
    service::{self, SyncError},
};
use crate::Ctx;

const PATH: &str = "/api/gth/syc/order";

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource(PATH).route(web::get().to(sync_get)).route(web::post().to(sync_post)));
}

/// Every answer of this entry, always with HTTP 200.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope {
    /// 200, 400 wrong parameters, 403 no permission or quota, 500 our fault.
    code: u16,
    msg: String,
    /// channels=1: `{batch_no, total, has_more, list, next_cursor}`; channels=2: `{subscription_id, status, replayed}`.
    data: Value,
    /// Always empty: internals are not shown.
    debug: &'static str,
    /// Seconds.
    exec_time: f64,
    user_ip: String,
    ip: String,
}

/// The parameters of the entry, from query and body.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `Credential` and `Params` are read from
pub struct SyncRequest {
    /// The partner's API key; also taken bare from `Authorization`.
    key: String,
    /// The partner's login; or `token`.
    name: Option<String>,
    password: Option<String>,
    /// From POST /api/access/token.
    token: Option<String>,
    /// Where to push; required for channels=2.
    api_url: Option<String>,
    /// Signs pushes in the legacy way.
    api_token: Option<String>,
    /// 1 own orders (default), 2 orders of the partner's distributors.
    #[schema(rename = "type")]
    source: Option<i64>,
    /// 1 order information sync (default), 2 state callback.
    channels: Option<i64>,
    apiuser: Option<String>,
    /// Plain or as its md5.
    apipwd: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS` or a day; either end makes it a window.
    start: Option<String>,
    end: Option<String>,
    /// `next_cursor` of the last answer, to go on in a window.
    cursor: Option<String>,
}

impl From<SyncError> for ApiError {
    fn from(e: SyncError) -> Self {
        match e {
            SyncError::Subscription(crate::subscriptions::service::SubscriptionError::Url(e)) => {
                Self::invalid("api_url", e.zh(), e.to_string())
            }
            SyncError::Subscription(e) => e.into(),
            SyncError::Row(e) => Self::internal(e),
            SyncError::Db(e) => e.into(),
        }
    }
}

/// What came: every part may be unreadable, and is answered in this entry's own form all the same.
type Parts = (Result<Identity, ApiError>, Result<Merged, ApiError>);

#[utoipa::path(get, path = "/api/gth/syc/order", operation_id = "PARTNER_SYNC_GET", tag = "partner_sync",
    params(("key" = String, Query), ("name" = Option<String>, Query), ("password" = Option<String>, Query),
        ("token" = Option<String>, Query), ("api_url" = Option<String>, Query), ("api_token" = Option<String>, Query),
        ("type" = Option<i64>, Query), ("channels" = Option<i64>, Query), ("apiuser" = Option<String>, Query),
        ("apipwd" = Option<String>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Envelope, description = "Refusals and failures too: `code` in the body counts; \
        a quota that is used up also sends `Retry-After`")))]
async fn sync_get(
    ctx: web::Data<Ctx>,
    req: HttpRequest,
    identity: Result<Identity, ApiError>,
    merged: Result<Merged, ApiError>,
) -> HttpResponse {
    answer(&ctx, &req, (identity, merged)).await
}

#[utoipa::path(post, path = "/api/gth/syc/order", operation_id = "PARTNER_SYNC_POST", tag = "partner_sync",
    request_body(content = SyncRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Envelope, description = "Refusals and failures too: `code` in the body counts; \
        a quota that is used up also sends `Retry-After`")))]
async fn sync_post(
    ctx: web::Data<Ctx>,
    req: HttpRequest,
    identity: Result<Identity, ApiError>,
    merged: Result<Merged, ApiError>,
) -> HttpResponse {
    answer(&ctx, &req, (identity, merged)).await
}

async fn answer(ctx: &Ctx, req: &HttpRequest, parts: Parts) -> HttpResponse {
    let started = Instant::now();
    let ip = parts.0.as_ref().map(|identity| identity.ip.clone()).unwrap_or_default();
    let mut response = HttpResponse::Ok();
    let context = RequestContext::current();
    let (code, msg, data) = match serve(ctx, req, parts, &mut response).await {
        Ok(data) => (200, "请求成功".to_owned(), data),
        Err(e) => {
            if e.is_server_error() {
                tracing::error!(request_id = %context.request_id, "partner sync failed: {}", e.chain());
            }
            if let Some(seconds) = e.retry_after_seconds() {
                response.insert_header(("retry-after", seconds));
            }
            (e.partner_code(), e.sentence(context.language, &context.request_id), Value::Null)
        }
    };
    let exec_time = started.elapsed().as_micros() as f64 / 1e6;
    response.json(Envelope { code, msg, data, debug: "", exec_time, user_ip: ip.clone(), ip })
}

async fn serve(
    ctx: &Ctx,
    req: &HttpRequest,
    (identity, merged): Parts,
    response: &mut actix_web::HttpResponseBuilder,
) -> Result<Value, ApiError> {
    let identity = identity.map_err(|e| e.in_dialect(Dialect::Partner))?;
    let mut merged = merged?;
    let header = |name: &str| req.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    if !merged.fields.contains_key("key")
        && let Some(key) = header("authorization")
    {
        merged.fields.insert("key".into(), key.trim().into());
    }
    let credential: Credential = fields::read(&merged.fields)?;
    let raw =
        if req.method() == "POST" { merged.raw_body.to_vec() } else { merged.raw_query.clone().into_bytes() };
    let signatures = Signatures { raw, sign: header("sign"), sign_sha256: header("sign-sha256") };
    let entrant = ctx.access.check(ctx, &credential, &signatures, &identity.ip).await?;
    if let Some((limit, left)) = entrant.day {
        response.insert_header(("x-quota-day-limit", limit)).insert_header(("x-quota-day-left", left));
    }
    let params: Params = fields::read(&merged.fields)?;
    Ok(service::sync(ctx, &entrant, &params).await?)
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(paths(sync_get, sync_post), components(schemas(Envelope, SyncRequest)))]
pub struct Doc;

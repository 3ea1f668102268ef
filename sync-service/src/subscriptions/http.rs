use actix_web::web::{self, Json};
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, Query, caller::Identity},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules::{Dialect, MAX_RATE, MAX_URL_CHARS, SubscriptionStatus, is_event_name},
    service::{self, Changes, NewSubscription, Origin, SubscriptionError},
    store::{self, Filter},
};
use crate::{
    Ctx,
    delivery::trial,
    entities::subscription::Model,
    wire::{Data, Id, Page, seconds},
};

const PATH: &str = "/api/callback/subscription";
const ONE: &str = "/api/callback/subscription/{subscription_id}";

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource(PATH).route(web::get().to(list)).route(web::post().to(add))).service(
        web::resource(ONE)
            .route(web::get().to(info))
            .route(web::put().to(modify))
            .route(web::delete().to(remove)),
    );
}

/// A subscription. Times are unix seconds, 0 = unset.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscription {
    pub id: i64,
    /// 0 = the house itself.
    pub partner_id: i64,
    pub url: String,
    /// `standard` or `gth`.
    pub dialect: String,
    /// 1 own orders, 2 orders of distributors.
    pub types: Vec<i64>,
    /// Happenings wanted; empty = all.
    pub events: Vec<String>,
    /// Deliveries a second, 0 = no limit.
    pub rate_limit: i64,
    pub latest_wins: bool,
    /// `active`, `paused` (by a person) or `disabled` (by the receiver's 410); all three collect.
    pub status: String,
    /// Why it is not active.
    pub status_reason: String,
    /// Whether a token for the legacy signature is set; the token itself is never shown.
    pub has_api_token: bool,
    /// Whether callbacks carry the house's Ed25519 signature (`v1a`) as well.
    pub asymmetric: bool,
    /// `api`, `drop_in` (made by the drop-in entry) or `push` (its address for batches).
    pub origin: String,
    /// Since when nothing was acknowledged, 0 = all is well.
    pub failing_since: i64,
    /// What the last probe found: `checks`, `accepts_anything`, `no_answer`; "" = never probed.
    pub probe_result: String,
    pub probed_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

impl TryFrom<Model> for Subscription {
    type Error = sea_orm::DbErr;

    fn try_from(row: Model) -> Result<Self, Self::Error> {
        let types = [(row.own_orders, 1), (row.distributor_orders, 2)];
        Ok(Self {
            id: row.id,
            partner_id: row.partner_id,
            url: row.url,
            dialect: row.dialect,
            types: types.into_iter().filter_map(|(wanted, number)| wanted.then_some(number)).collect(),
            events: store::names(&row.events)?,
            rate_limit: row.rate_limit,
            latest_wins: row.latest_wins,
            status: row.status,
            status_reason: row.status_reason,
            has_api_token: !row.api_token.is_empty(),
            asymmetric: row.asymmetric,
            origin: row.origin,
            failing_since: seconds(row.failing_since),
            probe_result: row.probe_result,
            probed_at: seconds(row.probed_at),
            created_at: seconds(row.created_at),
            updated_at: seconds(row.updated_at),
        })
    }
}

/// The new subscription's id and its signing secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Made {
    pub id: i64,
    /// `whsec_…` (Standard Webhooks).
    pub secret: String,
}

/// A subscription to be made or changed; on a change every field is optional.
#[derive(Debug, ToSchema)]
#[allow(dead_code)] // the schema of what `Changes` is read from
pub struct SubscriptionRequest {
    /// Operators only; 0 = the house itself.
    partner_id: Option<i64>,
    url: String,
    /// `standard` (default) or `gth`.
    dialect: Option<String>,
    /// 1 own orders, 2 orders of distributors; default both.
    types: Option<Vec<i64>>,
    /// Happenings wanted, for example `pay`; default all.
    events: Option<Vec<String>>,
    /// Signs callbacks in the legacy way; "" takes it away.
    api_token: Option<String>,
    /// Deliveries a second; 0 (default) = no limit.
    rate_limit: Option<i64>,
    /// Send only the newest state of an order when several wait.
    latest_wins: Option<bool>,
    /// Sign with the house's Ed25519 key as well; default no.
    asymmetric: Option<bool>,
    /// Probe the receiver once it is saved (see `/probe`); default no.
    probe: Option<bool>,
    /// `active` (default) or `paused`.
    status: Option<String>,
}

/// The fields of [`SubscriptionRequest`], each as far as it was sent.
#[derive(Debug)]
pub struct Wish {
    partner_id: Option<i64>,
    probe: bool,
    changes: Changes,
}

impl Wish {
    fn with_url(f: &mut Fields<'_>, url: Option<String>) -> Self {
        let sendable =
            |w: &str| SubscriptionStatus::from_word(w).filter(|s| *s != SubscriptionStatus::Disabled);
        let changes = Changes {
            url,
            dialect: word(f, "dialect", Dialect::from_word, "standard, gth"),
            types: types(f),
            events: events(f),
            api_token: f.optional_text("api_token", 200).map(SecretString::from),
            rate_limit: f.optional_int("rate_limit", 0..=MAX_RATE),
            latest_wins: f.optional_bool("latest_wins"),
            asymmetric: f.optional_bool("asymmetric"),
            status: word(f, "status", sendable, "active, paused"),
        };
        Self {
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            probe: f.optional_bool("probe").unwrap_or(false),
            changes,
        }
    }
}

impl FromFields for Wish {
    fn read(f: &mut Fields<'_>) -> Self {
        let url = f.optional_text("url", MAX_URL_CHARS).filter(|u| !u.is_empty());
        Self::with_url(f, url)
    }
}

/// As [`Wish`], for a new subscription: it must have a URL.
#[derive(Debug)]
pub struct NewWish(Wish);

impl FromFields for NewWish {
    fn read(f: &mut Fields<'_>) -> Self {
        let url = f.required_text("url", MAX_URL_CHARS);
        Self(Wish::with_url(f, Some(url)))
    }
}

fn word<T>(
    f: &mut Fields<'_>,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    known: &'static str,
) -> Option<T> {
    let text = f.optional_text(name, 32).filter(|t| !t.is_empty())?;
    let value = read(&text);
    if value.is_none() {
        f.error(name, format!("只能是 {known} 之一"), format!("must be one of {known}"));
    }
    value
}

fn types(f: &mut Fields<'_>) -> Option<(bool, bool)> {
    let list = f.optional_int_list("types", 2)?;
    if list.is_empty() || list.iter().any(|t| !(1..=2).contains(t)) {
        f.error(
            "types",
            "只能包含 1（自营订单）和 2（分销商订单）",
            "may hold 1 (own orders) and 2 (orders of distributors)",
        );
    }
    Some((list.contains(&1), list.contains(&2)))
}

fn events(f: &mut Fields<'_>) -> Option<Vec<String>> {
    let list = f.optional_text_list("events", 32, 64)?;
    if list.iter().any(|name| !is_event_name(name)) {
        f.error("events", "含有无效的事件名", "holds what is no event name");
    }
    Some(list)
}

/// Which subscriptions to list.
#[derive(Debug)]
pub struct ListQuery {
    page: i64,
    limit: i64,
    partner_id: Option<i64>,
    status: Option<SubscriptionStatus>,
}

impl FromFields for ListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            page: f.optional_int("page", 1..=1_000_000).unwrap_or(1),
            limit: f.optional_int("limit", 1..=1000).unwrap_or(20),
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            status: word(f, "status", SubscriptionStatus::from_word, "active, paused, disabled"),
        }
    }
}

impl From<SubscriptionError> for ApiError {
    fn from(e: SubscriptionError) -> Self {
        match e {
            SubscriptionError::NotFound => Self::not_found("订阅不存在", "no such subscription"),
            SubscriptionError::TooMany => Self::refused("订阅数量已达上限", "too many subscriptions"),
            SubscriptionError::Url(e) => Self::invalid("url", e.zh(), e.to_string()),
            SubscriptionError::NoType => Self::invalid("types", "不能为空", "is required"),
            SubscriptionError::Db(e) => e.into(),
        }
    }
}

/// The partner an operator names, or the one the caller is confined to.
fn owner(identity: &Identity, asked: Option<i64>) -> Result<i64, ApiError> {
    match (identity.partner_scope(), asked) {
        (Some(own), Some(other)) if own != other => {
            Err(ApiError::invalid("partner_id", "只能是自己", "must be your own"))
        }
        (Some(own), _) => Ok(own),
        (None, asked) => Ok(asked.unwrap_or(0)),
    }
}

#[utoipa::path(get, path = "/api/callback/subscription", operation_id = "CALLBACK_SUBSCRIPTION_LIST", tag = "subscriptions",
    params(("page" = Option<i64>, Query), ("limit" = Option<i64>, Query, description = "1 to 1000, default 20"),
        ("partner_id" = Option<i64>, Query, description = "operators only"), ("status" = Option<String>, Query)),
    responses((status = 200, body = Data<Page<Subscription>>)))]
async fn list(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<ListQuery>,
) -> Result<Json<Data<Page<Subscription>>>, ApiError> {
    let ListQuery { page, limit, partner_id, status } = query.into_inner();
    let partner_id = identity.partner_scope().or(partner_id);
    let filter = Filter { partner_id, status: status.map(SubscriptionStatus::word) };
    let db = &ctx.platform.db;
    let total = store::count(db.conn(), filter).await?;
    let rows = store::page(db, filter, ((page - 1) * limit).unsigned_abs(), limit.unsigned_abs()).await?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(Subscription::try_from).collect();
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    Ok(Json(Data::new(Page::new(page, limit, total, rows?))))
}

#[utoipa::path(post, path = "/api/callback/subscription", operation_id = "CALLBACK_SUBSCRIPTION_ADD", tag = "subscriptions",
    request_body = SubscriptionRequest, responses((status = 200, body = Data<Made>)))]
async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<NewWish>,
) -> Result<Json<Data<Made>>, ApiError> {
    let NewWish(Wish { partner_id, probe, changes }) = body.into_inner();
    let (own_orders, distributor_orders) = changes.types.unwrap_or((true, true));
    let new = NewSubscription {
        partner_id: owner(&identity, partner_id)?,
        url: changes.url.unwrap_or_default(),
        dialect: changes.dialect.unwrap_or(Dialect::Standard),
        own_orders,
        distributor_orders,
        events: changes.events.unwrap_or_default(),
        api_token: changes.api_token.filter(|t| !t.expose_secret().is_empty()),
        rate_limit: changes.rate_limit.unwrap_or(0),
        latest_wins: changes.latest_wins.unwrap_or(false),
        asymmetric: changes.asymmetric.unwrap_or(false),
        origin: Origin::Api,
        paused: changes.status == Some(SubscriptionStatus::Paused),
    };
    let who = Who::from(&identity);
    let (id, secret) = service::create(&ctx, &who, new).await?;
    probe_if(&ctx, &who, id, probe).await?;
    Ok(Json(Data::new(Made { id, secret: secret.expose_secret().to_owned() })))
}

#[utoipa::path(get, path = "/api/callback/subscription/{subscription_id}", operation_id = "CALLBACK_SUBSCRIPTION_INFO", tag = "subscriptions",
    params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Subscription>)))]
async fn info(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Subscription>>, ApiError> {
    let row = store::find(ctx.platform.db.conn(), *id, identity.partner_scope()).await?;
    let row = row.ok_or(SubscriptionError::NotFound)?;
    Ok(Json(Data::new(Subscription::try_from(row)?)))
}

#[utoipa::path(put, path = "/api/callback/subscription/{subscription_id}", operation_id = "CALLBACK_SUBSCRIPTION_MODIFY", tag = "subscriptions",
    params(("subscription_id" = i64, Path)), request_body = SubscriptionRequest, responses((status = 200, body = Data<Id>)))]
async fn modify(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<Wish>,
) -> Result<Json<Data<Id>>, ApiError> {
    let Wish { changes, probe, .. } = body.into_inner();
    let who = Who::from(&identity);
    service::modify(&ctx, &who, *id, identity.partner_scope(), changes).await?;
    probe_if(&ctx, &who, *id, probe).await?;
    Ok(Json(Data::new(Id { id: *id })))
}

#[utoipa::path(delete, path = "/api/callback/subscription/{subscription_id}", operation_id = "CALLBACK_SUBSCRIPTION_DELETE", tag = "subscriptions",
    params(("subscription_id" = i64, Path)), responses((status = 200, body = Data<Id>)))]
async fn remove(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<Json<Data<Id>>, ApiError> {
    service::delete(&ctx, &Who::from(&identity), *id, identity.partner_scope()).await?;
    Ok(Json(Data::new(Id { id: *id })))
}

/// Probes a receiver whose subscription was just saved; what it finds stands in the subscription.
async fn probe_if(ctx: &Ctx, who: &Who, id: i64, wanted: bool) -> Result<(), ApiError> {
    if wanted && let Some(row) = store::find(ctx.platform.db.conn(), id, None).await? {
        trial::probe(ctx, who, &row).await?;
    }
    Ok(())
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, add, info, modify, remove),
    components(schemas(Subscription, Made, SubscriptionRequest))
)]
pub struct Doc;

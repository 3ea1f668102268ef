use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    service::{self, DistributorChange, DistributorError},
    store::{self, Filter},
};
use crate::{
    app::Ctx,
    entities::distributor,
    wire::{self, Data, IdOnly, Page, Paging, PagingParams, status_word},
};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/distributor", get().to(list))
        .route("/api/distributor", post().to(add))
        .route("/api/distributor/{distributor_id}", get().to(info))
        .route("/api/distributor/{distributor_id}", put().to(modify))
        .route("/api/distributor/{distributor_id}", delete().to(remove));
}

impl From<DistributorError> for ApiError {
    fn from(e: DistributorError) -> Self {
        match e {
            DistributorError::NotFound => Self::not_found("没有这个分销商", "no such distributor"),
            DistributorError::NoSuchPartner(id) => {
                Self::invalid("partner_id", format!("没有合作方 {id}"), format!("names no partner: {id}"))
            }
            DistributorError::NameTaken => {
                Self::refused("这个合作方已有同名分销商", "the partner has a distributor of this name")
            }
            DistributorError::Db(e) => e.into(),
        }
    }
}

/// A distributor. Times in unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct DistributorRow {
    id: i64,
    partner_id: i64,
    name: String,
    /// `enabled` or `disabled`.
    status: &'static str,
    created_at: i64,
    updated_at: i64,
}

impl From<distributor::Model> for DistributorRow {
    fn from(row: distributor::Model) -> Self {
        Self {
            id: row.id,
            partner_id: row.partner_id,
            name: row.name,
            status: status_word(row.enabled),
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// Which distributors to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DistributorQuery {
    partner_id: Option<i64>,
    /// Part of the name.
    search: Option<String>,
    /// `enabled` or `disabled`.
    #[param(value_type = Option<String>)]
    status: Option<bool>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for DistributorQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            partner_id: f.optional_int("partner_id", 1..=i64::MAX),
            search: f.optional_text("search", wire::MAX_NAME_CHARS).filter(|s| !s.is_empty()),
            status: wire::optional_status(f),
            paging: Paging::read(f),
        }
    }
}

/// Distributors, oldest first.
#[utoipa::path(get, path = "/api/distributor", operation_id = "DISTRIBUTOR_LIST", tag = "distributors",
    params(DistributorQuery, PagingParams),
    responses((status = 200, body = Data<Page<DistributorRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<DistributorQuery>,
) -> Result<Json<Data<Page<DistributorRow>>>, ApiError> {
    wire::operator(&identity)?;
    let query = query.into_inner();
    let filter = Filter { partner_id: query.partner_id, search: query.search, enabled: query.status };
    let (rows, total) = store::page(ctx.platform.db.conn(), &filter, query.paging).await?;
    Ok(wire::ok(query.paging.page(rows.into_iter().map(DistributorRow::from).collect(), total)))
}

/// A distributor to be made.
#[derive(Debug, ToSchema)]
pub struct DistributorAdd {
    partner_id: i64,
    name: String,
    /// `enabled` (default) or `disabled`.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
}

impl FromFields for DistributorAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            partner_id: f.required_int("partner_id", 1..=i64::MAX),
            name: wire::required_name(f, "name"),
            status: wire::optional_status(f),
        }
    }
}

/// Makes a distributor of a partner.
#[utoipa::path(post, path = "/api/distributor", operation_id = "DISTRIBUTOR_ADD", tag = "distributors",
    request_body = DistributorAdd,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<DistributorAdd>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let DistributorAdd { partner_id, name, status } = body.into_inner();
    let id = service::add(&ctx, &who, partner_id, name, status.unwrap_or(true)).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// One distributor.
#[utoipa::path(get, path = "/api/distributor/{distributor_id}", operation_id = "DISTRIBUTOR_INFO",
    tag = "distributors", params(("distributor_id" = i64, Path)),
    responses((status = 200, body = Data<DistributorRow>)))]
pub async fn info(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<DistributorRow>>, ApiError> {
    wire::operator(&identity)?;
    let row = store::by_id(ctx.platform.db.conn(), *id).await?.ok_or(DistributorError::NotFound)?;
    Ok(wire::ok(row.into()))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct DistributorModify {
    name: Option<String>,
    /// `enabled` or `disabled`.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
}

impl FromFields for DistributorModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { name: wire::optional_name(f, "name"), status: wire::optional_status(f) }
    }
}

/// Changes a distributor.
#[utoipa::path(put, path = "/api/distributor/{distributor_id}", operation_id = "DISTRIBUTOR_MODIFY",
    tag = "distributors", params(("distributor_id" = i64, Path)), request_body = DistributorModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
    body: Body<DistributorModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let DistributorModify { name, status } = body.into_inner();
    service::modify(&ctx, &who, *id, DistributorChange { name, enabled: status }).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

/// Deletes a distributor; its orders stay.
#[utoipa::path(delete, path = "/api/distributor/{distributor_id}", operation_id = "DISTRIBUTOR_DELETE",
    tag = "distributors", params(("distributor_id" = i64, Path)),
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn remove(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    service::remove(&ctx, &who, *id).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

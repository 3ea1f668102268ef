use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    service::{self, SupplierChange, SupplierError},
    store::{self, Filter},
};
use crate::{
    app::Ctx,
    entities::supplier,
    keys,
    wire::{self, Data, IdOnly, MAX_REMARK_CHARS, Page, Paging, PagingParams, status_word},
};

/// Longest contact: a name, a telephone number, a chat account.
const MAX_CONTACT_CHARS: usize = 200;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/supplier", get().to(list))
        .route("/api/supplier", post().to(add))
        .route("/api/supplier/{supplier_id}", get().to(info))
        .route("/api/supplier/{supplier_id}", put().to(modify))
        .route("/api/supplier/{supplier_id}", delete().to(remove));
}

impl From<SupplierError> for ApiError {
    fn from(e: SupplierError) -> Self {
        match e {
            SupplierError::NotFound => Self::not_found("没有这个供应商", "no such supplier"),
            SupplierError::NameTaken => Self::refused("供应商名称已存在", "the supplier's name is taken"),
            SupplierError::Db(e) => e.into(),
        }
    }
}

/// A supplier. Times in unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplierRow {
    id: i64,
    name: String,
    contact: String,
    remark: String,
    /// `enabled` or `disabled`.
    status: &'static str,
    /// Keys that are neither revoked nor expired.
    key_count: i64,
    created_at: i64,
    updated_at: i64,
}

impl SupplierRow {
    pub fn new(row: supplier::Model, key_count: i64) -> Self {
        Self {
            id: row.id,
            name: row.name,
            contact: row.contact,
            remark: row.remark,
            status: status_word(row.enabled),
            key_count,
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// Which suppliers to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SupplierQuery {
    /// Part of the name or contact.
    search: Option<String>,
    /// `enabled` or `disabled`.
    #[param(value_type = Option<String>)]
    status: Option<bool>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for SupplierQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            search: f.optional_text("search", wire::MAX_NAME_CHARS).filter(|s| !s.is_empty()),
            status: wire::optional_status(f),
            paging: Paging::read(f),
        }
    }
}

/// Suppliers, oldest first.
#[utoipa::path(get, path = "/api/supplier", operation_id = "SUPPLIER_LIST", tag = "suppliers",
    params(SupplierQuery, PagingParams),
    responses((status = 200, body = Data<Page<SupplierRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<SupplierQuery>,
) -> Result<Json<Data<Page<SupplierRow>>>, ApiError> {
    wire::operator(&identity)?;
    let query = query.into_inner();
    let conn = ctx.platform.db.conn();
    let filter = Filter { search: query.search, enabled: query.status };
    let (rows, total) = store::page(conn, &filter, query.paging).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let keys = keys::store::live_of(conn, "supplier", &ids, ctx.platform.clock.now_ms()).await?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let live = keys.get(&row.id).copied().unwrap_or_default();
            SupplierRow::new(row, live)
        })
        .collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// A supplier to be made.
#[derive(Debug, ToSchema)]
pub struct SupplierAdd {
    name: String,
    contact: Option<String>,
    remark: Option<String>,
    /// `enabled` (default) or `disabled`.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
}

impl FromFields for SupplierAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            name: wire::required_name(f, "name"),
            contact: f.optional_text("contact", MAX_CONTACT_CHARS),
            remark: f.optional_text("remark", MAX_REMARK_CHARS),
            status: wire::optional_status(f),
        }
    }
}

/// Makes a supplier.
#[utoipa::path(post, path = "/api/supplier", operation_id = "SUPPLIER_ADD", tag = "suppliers",
    request_body = SupplierAdd,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<SupplierAdd>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let SupplierAdd { name, contact, remark, status } = body.into_inner();
    let new = SupplierChange { name: Some(name), contact, remark, enabled: status };
    let id = service::add(&ctx, &who, new).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// One supplier.
#[utoipa::path(get, path = "/api/supplier/{supplier_id}", operation_id = "SUPPLIER_INFO", tag = "suppliers",
    params(("supplier_id" = i64, Path)),
    responses((status = 200, body = Data<SupplierRow>)))]
pub async fn info(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<SupplierRow>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let row = store::by_id(conn, *id).await?.ok_or(SupplierError::NotFound)?;
    let keys = keys::store::live_of(conn, "supplier", &[*id], ctx.platform.clock.now_ms()).await?;
    Ok(wire::ok(SupplierRow::new(row, keys.get(&*id).copied().unwrap_or_default())))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct SupplierModify {
    name: Option<String>,
    contact: Option<String>,
    remark: Option<String>,
    /// `disabled` closes its keys.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
}

impl FromFields for SupplierModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            name: wire::optional_name(f, "name"),
            contact: f.optional_text("contact", MAX_CONTACT_CHARS),
            remark: f.optional_text("remark", MAX_REMARK_CHARS),
            status: wire::optional_status(f),
        }
    }
}

/// Changes a supplier.
#[utoipa::path(put, path = "/api/supplier/{supplier_id}", operation_id = "SUPPLIER_MODIFY", tag = "suppliers",
    params(("supplier_id" = i64, Path)), request_body = SupplierModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
    body: Body<SupplierModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let SupplierModify { name, contact, remark, status } = body.into_inner();
    service::modify(&ctx, &who, *id, SupplierChange { name, contact, remark, enabled: status }).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

/// Deletes a supplier; its keys end.
#[utoipa::path(delete, path = "/api/supplier/{supplier_id}", operation_id = "SUPPLIER_DELETE", tag = "suppliers",
    params(("supplier_id" = i64, Path)),
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

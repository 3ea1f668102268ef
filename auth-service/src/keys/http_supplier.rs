use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules::{self, DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS, Owner},
    service::{self, KeyChange, KeyError, Minted},
    store,
};
use crate::{
    app::Ctx,
    entities::api_key,
    suppliers,
    wire::{self, Data, IdOnly, MAX_IDS, MAX_NAME_CHARS, Page, Paging, PagingParams, read_ids},
};

/// The last second of the year 9999.
const LATEST_SECONDS: i64 = 253_402_300_799;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/supplier/{supplier_id}/key", get().to(list))
        .route("/api/supplier/{supplier_id}/key", post().to(add))
        .route("/api/supplier/{supplier_id}/key/{key_id}", put().to(modify))
        .route("/api/supplier/{supplier_id}/key/{key_id}", delete().to(revoke))
        .route("/api/supplier/{supplier_id}/key/{key_id}/rotate", post().to(rotate));
}

/// `page` and `limit`.
#[derive(Debug)]
pub struct KeyListQuery {
    pub paging: Paging,
}

impl FromFields for KeyListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { paging: Paging::read(f) }
    }
}

/// How long the old key lives on.
#[derive(Debug, ToSchema)]
#[schema(as = KeyRotateRequest)]
pub struct RotateRequest {
    /// 0 to 30 days, a day by default.
    #[schema(required = false)]
    pub overlap_seconds: i64,
}

impl FromFields for RotateRequest {
    fn read(f: &mut Fields<'_>) -> Self {
        let overlap = f.optional_int("overlap_seconds", 0..=MAX_OVERLAP_SECONDS);
        Self { overlap_seconds: overlap.unwrap_or(DEFAULT_OVERLAP_SECONDS) }
    }
}

/// `expires_at` in unix seconds as unix milliseconds.
pub fn read_expires_at(f: &mut Fields<'_>) -> Option<i64> {
    Some(f.optional_int("expires_at", 0..=LATEST_SECONDS)? * 1000)
}

/// A supplier's key, without itself. Times in unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplierKeyRow {
    id: i64,
    /// The first key of its chain of rotations, 0 = itself.
    root_id: i64,
    name: String,
    /// First characters of the key.
    prefix: String,
    /// `active`, `expiring` (rotated, or with an end), `expired` or `revoked`.
    status: &'static str,
    /// Goods it opens.
    goods_ids: Vec<i64>,
    expires_at: i64,
    last_used_at: i64,
    created_at: i64,
    updated_at: i64,
}

impl SupplierKeyRow {
    pub fn new(row: &api_key::Model, now_ms: i64) -> Self {
        Self {
            id: row.id,
            root_id: row.root_id,
            name: row.name.clone(),
            prefix: row.prefix.clone(),
            status: rules::status(row, now_ms),
            goods_ids: read_ids(&row.goods_ids),
            expires_at: wire::seconds(row.expires_at),
            last_used_at: wire::seconds(row.last_used_at),
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// A supplier's keys, oldest first.
#[utoipa::path(get, path = "/api/supplier/{supplier_id}/key", operation_id = "SUPPLIER_KEY_LIST", tag = "keys",
    params(("supplier_id" = i64, Path), PagingParams),
    responses((status = 200, body = Data<Page<SupplierKeyRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    supplier_id: Path<i64>,
    query: Query<KeyListQuery>,
) -> Result<Json<Data<Page<SupplierKeyRow>>>, ApiError> {
    wire::operator(&identity)?;
    let (conn, now) = (ctx.platform.db.conn(), ctx.platform.clock.now_ms());
    suppliers::store::by_id(conn, *supplier_id).await?.ok_or(KeyError::NoSuchOwner)?;
    let (rows, total) = store::page(conn, Owner::Supplier(*supplier_id), query.paging).await?;
    let rows = rows.iter().map(|row| SupplierKeyRow::new(row, now)).collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// A key to be made.
#[derive(Debug, ToSchema)]
pub struct SupplierKeyAdd {
    /// Goods it opens, at least one.
    goods_ids: Vec<i64>,
    /// For people to tell keys apart.
    name: Option<String>,
    /// Unix seconds; 0 = never (default).
    expires_at: Option<i64>,
}

impl FromFields for SupplierKeyAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        if !f.has("goods_ids") {
            f.error("goods_ids", "不能为空", "is required");
        }
        Self {
            goods_ids: read_goods_ids(f).unwrap_or_default(),
            name: f.optional_text("name", MAX_NAME_CHARS),
            expires_at: read_expires_at(f),
        }
    }
}

fn read_goods_ids(f: &mut Fields<'_>) -> Option<Vec<i64>> {
    let mut ids = f.optional_int_list("goods_ids", MAX_IDS)?;
    if ids.is_empty() {
        f.error("goods_ids", "至少需要一项", "must have at least one item");
    }
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

/// A key just made, shown this once.
#[derive(Serialize, ToSchema)]
pub struct SupplierKeyMade {
    id: i64,
    key: String,
    prefix: String,
    /// Unix seconds, 0 = never.
    expires_at: i64,
}

impl From<Minted> for SupplierKeyMade {
    fn from(minted: Minted) -> Self {
        Self {
            id: minted.id,
            key: minted.key.expose_secret().to_owned(),
            prefix: minted.prefix,
            expires_at: wire::seconds(minted.expires_at),
        }
    }
}

/// Makes a key for a supplier; it is shown this once.
#[utoipa::path(post, path = "/api/supplier/{supplier_id}/key", operation_id = "SUPPLIER_KEY_ADD", tag = "keys",
    params(("supplier_id" = i64, Path)), request_body = SupplierKeyAdd,
    responses((status = 200, body = Data<SupplierKeyMade>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    supplier_id: Path<i64>,
    body: Body<SupplierKeyAdd>,
) -> Result<Json<Data<SupplierKeyMade>>, ApiError> {
    let who = wire::operator(&identity)?;
    let SupplierKeyAdd { goods_ids, name, expires_at } = body.into_inner();
    let new = KeyChange { name, expires_at, goods_ids: Some(goods_ids), ..KeyChange::default() };
    let minted = service::add(&ctx, &who, Owner::Supplier(*supplier_id), new).await?;
    Ok(wire::ok(minted.into()))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct SupplierKeyModify {
    goods_ids: Option<Vec<i64>>,
    name: Option<String>,
    /// Unix seconds; 0 = never.
    expires_at: Option<i64>,
}

impl FromFields for SupplierKeyModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            goods_ids: read_goods_ids(f),
            name: f.optional_text("name", MAX_NAME_CHARS),
            expires_at: read_expires_at(f),
        }
    }
}

/// Changes a key.
#[utoipa::path(put, path = "/api/supplier/{supplier_id}/key/{key_id}", operation_id = "SUPPLIER_KEY_MODIFY",
    tag = "keys", params(("supplier_id" = i64, Path), ("key_id" = i64, Path)), request_body = SupplierKeyModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
    body: Body<SupplierKeyModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (supplier_id, id) = path.into_inner();
    let SupplierKeyModify { goods_ids, name, expires_at } = body.into_inner();
    let change = KeyChange { name, expires_at, goods_ids, ..KeyChange::default() };
    service::modify(&ctx, &who, Owner::Supplier(supplier_id), id, change).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// Makes a new key for the same goods; the old one lives on for the overlap.
#[utoipa::path(post, path = "/api/supplier/{supplier_id}/key/{key_id}/rotate", operation_id = "SUPPLIER_KEY_ROTATE",
    tag = "keys", params(("supplier_id" = i64, Path), ("key_id" = i64, Path)), request_body = RotateRequest,
    responses((status = 200, body = Data<SupplierKeyMade>)))]
pub async fn rotate(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
    body: Body<RotateRequest>,
) -> Result<Json<Data<SupplierKeyMade>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (supplier_id, id) = path.into_inner();
    let minted = service::rotate(&ctx, &who, Owner::Supplier(supplier_id), id, body.overlap_seconds).await?;
    Ok(wire::ok(minted.into()))
}

/// Revokes a key, for good.
#[utoipa::path(delete, path = "/api/supplier/{supplier_id}/key/{key_id}", operation_id = "SUPPLIER_KEY_REVOKE",
    tag = "keys", params(("supplier_id" = i64, Path), ("key_id" = i64, Path)),
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn revoke(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (supplier_id, id) = path.into_inner();
    service::revoke(&ctx, &who, Owner::Supplier(supplier_id), id).await?;
    Ok(wire::ok(IdOnly { id }))
}

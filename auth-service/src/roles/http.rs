use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    service::{self, RoleChange, RoleError},
    store,
};
use crate::{
    app::Ctx,
    entities::role,
    policy::rules::MAX_PERMISSION_CHARS,
    wire::{self, Data, IdOnly, MAX_IDS, MAX_REMARK_CHARS, Page, Paging, PagingParams},
};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/role", get().to(list))
        .route("/api/role", post().to(add))
        .route("/api/role/{role_id}", get().to(info))
        .route("/api/role/{role_id}", put().to(modify))
        .route("/api/role/{role_id}", delete().to(remove));
}

impl From<RoleError> for ApiError {
    fn from(e: RoleError) -> Self {
        match e {
            RoleError::NotFound => Self::not_found("没有这个角色", "no such role"),
            RoleError::NameTaken => Self::refused("角色名已存在", "the role's name is taken"),
            RoleError::Builtin => Self::refused("内置角色不能删除", "the built-in role cannot be deleted"),
            RoleError::InUse(n) => Self::refused(
                format!("还有 {n} 个账号使用这个角色"),
                format!("{n} accounts still hold this role"),
            ),
            RoleError::Policy(e) => e.into(),
            RoleError::Db(e) => e.into(),
        }
    }
}

/// A role. Times in unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleRow {
    id: i64,
    name: String,
    remark: String,
    /// The role that gets every new permission at a start.
    builtin: bool,
    pub permissions: Vec<String>,
    /// Accounts that hold it.
    pub account_count: i64,
    created_at: i64,
    updated_at: i64,
}

impl RoleRow {
    pub fn new(row: role::Model, permissions: Vec<String>, account_count: i64) -> Self {
        Self {
            id: row.id,
            name: row.name,
            remark: row.remark,
            builtin: row.builtin,
            permissions,
            account_count,
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// Which roles to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RoleQuery {
    /// Part of the name or remark.
    search: Option<String>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for RoleQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            search: f.optional_text("search", wire::MAX_NAME_CHARS).filter(|s| !s.is_empty()),
            paging: Paging::read(f),
        }
    }
}

/// Roles, oldest first.
#[utoipa::path(get, path = "/api/role", operation_id = "ROLE_LIST", tag = "roles", params(RoleQuery, PagingParams),
    responses((status = 200, body = Data<Page<RoleRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<RoleQuery>,
) -> Result<Json<Data<Page<RoleRow>>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let (rows, total) = store::page(conn, query.search.as_deref(), query.paging).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let (mut permissions, mut holders) =
        (store::permissions(conn, &ids).await?, store::holders(conn, &ids).await?);
    let rows = rows
        .into_iter()
        .map(|row| {
            let id = row.id;
            let permissions = permissions.remove(&id).unwrap_or_default();
            RoleRow::new(row, permissions, holders.remove(&id).unwrap_or_default())
        })
        .collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// A role to be made.
#[derive(Debug, ToSchema)]
pub struct RoleAdd {
    name: String,
    #[schema(required = false)]
    remark: String,
    /// Names of the registry.
    #[schema(required = false)]
    permissions: Vec<String>,
}

impl FromFields for RoleAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            name: wire::required_name(f, "name"),
            remark: f.optional_text("remark", MAX_REMARK_CHARS).unwrap_or_default(),
            permissions: read_permissions(f).unwrap_or_default(),
        }
    }
}

fn read_permissions(f: &mut Fields<'_>) -> Option<Vec<String>> {
    let mut names = f.optional_text_list("permissions", MAX_IDS, MAX_PERMISSION_CHARS)?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Makes a role.
#[utoipa::path(post, path = "/api/role", operation_id = "ROLE_ADD", tag = "roles", request_body = RoleAdd,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<RoleAdd>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let RoleAdd { name, remark, permissions } = body.into_inner();
    let new = RoleChange { name: Some(name), remark: Some(remark), permissions: Some(permissions) };
    let id = service::add(&ctx, &who, new).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// One role.
#[utoipa::path(get, path = "/api/role/{role_id}", operation_id = "ROLE_INFO", tag = "roles",
    params(("role_id" = i64, Path)),
    responses((status = 200, body = Data<RoleRow>)))]
pub async fn info(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<RoleRow>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let row = store::by_id(conn, *id).await?.ok_or(RoleError::NotFound)?;
    let permissions = store::permissions(conn, &[*id]).await?.remove(&*id).unwrap_or_default();
    let holders = store::holders(conn, &[*id]).await?.remove(&*id).unwrap_or_default();
    Ok(wire::ok(RoleRow::new(row, permissions, holders)))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct RoleModify {
    name: Option<String>,
    remark: Option<String>,
    /// The permissions it holds from now on.
    permissions: Option<Vec<String>>,
}

impl FromFields for RoleModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            name: wire::optional_name(f, "name"),
            remark: f.optional_text("remark", MAX_REMARK_CHARS),
            permissions: read_permissions(f),
        }
    }
}

/// Changes a role.
#[utoipa::path(put, path = "/api/role/{role_id}", operation_id = "ROLE_MODIFY", tag = "roles",
    params(("role_id" = i64, Path)), request_body = RoleModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
    body: Body<RoleModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let RoleModify { name, remark, permissions } = body.into_inner();
    service::modify(&ctx, &who, *id, RoleChange { name, remark, permissions }).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

/// Deletes a role that no account holds.
#[utoipa::path(delete, path = "/api/role/{role_id}", operation_id = "ROLE_DELETE", tag = "roles",
    params(("role_id" = i64, Path)),
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

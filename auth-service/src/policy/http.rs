use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post},
};
use contracts::routes;
use platform::http::{ApiError, Body, Fields, ForbiddenKind, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules,
    service::{self, LocalPolicy, PolicyError},
    store,
};
use crate::{
    app::Ctx,
    wire::{self, Data, Nothing},
};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/permission", get().to(list))
        .route("/api/permission", post().to(add))
        .route("/api/permission/{name}", delete().to(remove))
        .route("/internal/policy", get().to(snapshot));
}

impl From<PolicyError> for ApiError {
    fn from(e: PolicyError) -> Self {
        match e {
            PolicyError::LastAdministrator => Self::refused(
                "至少要保留一个启用的、能管理账号角色与权限的账号",
                "an enabled account that can manage accounts, roles and permissions must remain",
            ),
            PolicyError::Beyond { permission } => Self::forbidden(ForbiddenKind::NotGranted).with_message(
                format!("不能授予自己没有的权限：{permission}"),
                format!("you cannot give a permission you do not hold: {permission}"),
            ),
            PolicyError::Unregistered(name) => Self::invalid(
                "permissions",
                format!("含有未登记的权限名：{name}"),
                format!("name an unknown permission: {name}"),
            ),
            PolicyError::Registered(name) => {
                Self::refused(format!("权限名 {name} 已登记"), format!("{name} is registered already"))
            }
            PolicyError::NotFound => Self::not_found("没有这个权限名", "no such permission"),
            PolicyError::Db(e) => e.into(),
        }
    }
}

/// A route behind a permission.
#[derive(Debug, Serialize, ToSchema)]
pub struct RouteRow {
    method: &'static str,
    path: &'static str,
    service: &'static str,
}

/// A permission and who holds it: one row of the matrix.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionRow {
    name: String,
    /// false: its routes answer 403 status 4.
    registered: bool,
    /// The routes it opens; empty = the name is no longer in the route table.
    routes: Vec<RouteRow>,
    /// Roles that hold it; empty = its routes answer 403 status 5.
    role_ids: Vec<i64>,
}

/// A column of the matrix.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleColumn {
    id: i64,
    name: String,
}

/// All permissions, the matrix role × permission, and how the registry differs from the route table.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionList {
    current_page: u64,
    last_page: u64,
    per_page: u64,
    total: u64,
    data: Vec<PermissionRow>,
    roles: Vec<RoleColumn>,
    /// Names of the route table that are not registered.
    unregistered: Vec<String>,
    /// Registered names that are no longer in the route table.
    stale: Vec<String>,
}

/// Permissions, the matrix, and routes that are not registered.
#[utoipa::path(get, path = "/api/permission", operation_id = "PERMISSION_LIST", tag = "policy",
    responses((status = 200, body = Data<PermissionList>)))]
pub async fn list(ctx: AppData<Ctx>, identity: Identity) -> Result<Json<Data<PermissionList>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let (known, mut holders, roles) =
        (store::known(conn).await?, store::holders(conn).await?, store::role_names(conn).await?);
    let mut opens: BTreeMap<&str, Vec<RouteRow>> = BTreeMap::new();
    for r in routes::all().filter(|r| r.needs_permission()) {
        let row = RouteRow { method: r.method.as_str(), path: r.path, service: r.service.as_str() };
        opens.entry(r.name).or_default().push(row);
    }
    let mut registered: BTreeMap<String, bool> =
        opens.keys().map(|name| ((*name).to_owned(), false)).collect();
    // A name that was taken out and is in no table any more is history, not a permission.
    registered.extend(known.into_iter().filter(|(name, r)| *r || opens.contains_key(name.as_str())));
    let data: Vec<PermissionRow> = registered
        .into_iter()
        .map(|(name, registered)| PermissionRow {
            routes: opens.remove(name.as_str()).unwrap_or_default(),
            role_ids: holders.remove(&name).unwrap_or_default(),
            name,
            registered,
        })
        .collect();
    let names =
        |keep: fn(&PermissionRow) -> bool| data.iter().filter(|r| keep(r)).map(|r| r.name.clone()).collect();
    let total = data.len() as u64;
    Ok(wire::ok(PermissionList {
        current_page: 1,
        last_page: 1,
        per_page: total,
        total,
        unregistered: names(|row| !row.registered),
        stale: names(|row| row.registered && row.routes.is_empty()),
        data,
        roles: roles.into_iter().map(|(id, name)| RoleColumn { id, name }).collect(),
    }))
}

/// A name to register.
#[derive(Debug, ToSchema)]
pub struct PermissionAdd {
    /// A route name: letters, digits, `_`, at most 64.
    #[allow(dead_code)] // read through `FromFields`
    name: String,
}

impl FromFields for PermissionAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        let name = f.required_text("name", rules::MAX_PERMISSION_CHARS);
        if !name.is_empty() && !rules::is_permission_name(&name) {
            f.error("name", "只能含字母、数字和下划线", "may hold letters, digits and _ only");
        }
        Self { name }
    }
}

/// Registers a permission name; roles get it by PUT /api/role/{role_id}.
#[utoipa::path(post, path = "/api/permission", operation_id = "PERMISSION_ADD", tag = "policy",
    request_body = PermissionAdd,
    responses((status = 200, body = Data<Nothing>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<PermissionAdd>,
) -> Result<Json<Data<Nothing>>, ApiError> {
    service::register(&ctx, &wire::operator(&identity)?, &body.name).await?;
    Ok(wire::ok(Nothing {}))
}

/// Takes a permission name out of the registry: its routes are closed to everybody until it is added again.
#[utoipa::path(delete, path = "/api/permission/{name}", operation_id = "PERMISSION_DELETE", tag = "policy",
    params(("name" = String, Path)),
    responses((status = 200, body = Data<Nothing>)))]
pub async fn remove(
    ctx: AppData<Ctx>,
    identity: Identity,
    name: Path<String>,
) -> Result<Json<Data<Nothing>>, ApiError> {
    let who = wire::operator(&identity)?;
    if !rules::is_permission_name(&name) {
        return Err(PolicyError::NotFound.into());
    }
    service::unregister(&ctx, &who, &name).await?;
    Ok(wire::ok(Nothing {}))
}

/// Which version the asking gateway has.
struct SnapshotQuery {
    version: i64,
}

impl FromFields for SnapshotQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        // A gateway that has none yet says -1: below every version there is.
        Self { version: f.optional_int("version", -1..=i64::MAX).unwrap_or(-1) }
    }
}

/// `GET /internal/policy?version=N`: the snapshot, or 304 when N is its version. For gateways only: it is in no
/// route table, and the internal token it wants is signed for this very path.
async fn snapshot(
    ctx: AppData<Ctx>,
    _gateway: Identity,
    query: Query<SnapshotQuery>,
) -> Result<HttpResponse, ApiError> {
    let policy = LocalPolicy::new(ctx.platform.db.clone(), ctx.platform.clock.clone());
    Ok(match policy.read(query.version).await? {
        Some(snapshot) => HttpResponse::Ok().json(snapshot),
        None => HttpResponse::NotModified().finish(),
    })
}

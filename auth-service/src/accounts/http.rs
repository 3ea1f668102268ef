use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use secrecy::SecretString;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    rules::{self, MAX_ACCOUNT_CHARS},
    service::{self, AccountChange, AccountError, NewAccount},
    store::{self, Filter, RoleName},
};
use crate::{
    app::Ctx,
    entities::account,
    password,
    wire::{self, Data, IdOnly, MAX_IDS, Page, Paging, PagingParams},
};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/account", get().to(list))
        .route("/api/account", post().to(add))
        .route("/api/account/{account_id}", get().to(info))
        .route("/api/account/{account_id}", put().to(modify))
        .route("/api/account/{account_id}", delete().to(remove));
}

impl From<AccountError> for ApiError {
    fn from(e: AccountError) -> Self {
        match e {
            AccountError::NotFound => Self::not_found("没有这个账号", "no such account"),
            AccountError::NameTaken => Self::refused("账号已存在", "the account name is taken"),
            AccountError::NoSuchRole(id) => Self::invalid(
                "role_ids",
                format!("含有不存在的角色：{id}"),
                format!("name a role that does not exist: {id}"),
            ),
            AccountError::Weak(weak) => {
                let (zh, en) = weak.words();
                Self::invalid("password", zh, en)
            }
            AccountError::OfPartner(id) => Self::refused(
                format!("这是合作方 {id} 的登录账号，请在合作方处修改"),
                format!("this is the login of partner {id}; change it there"),
            ),
            AccountError::Hash(e) => e.into(),
            AccountError::Policy(e) => e.into(),
            AccountError::Db(e) => e.into(),
        }
    }
}

/// A role an account holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountRole {
    id: i64,
    name: String,
}

/// An account. Times in unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountRow {
    pub id: i64,
    account: String,
    nickname: String,
    /// `account` (an operator) or `partner` (a partner's login).
    kind: String,
    /// 0 for operators.
    partner_id: i64,
    pub role_ids: Vec<i64>,
    roles: Vec<AccountRole>,
    enabled: bool,
    last_login_at: i64,
    created_at: i64,
    updated_at: i64,
}

impl AccountRow {
    pub fn new(row: account::Model, roles: Vec<RoleName>) -> Self {
        Self {
            id: row.id,
            account: row.account,
            nickname: row.nickname,
            kind: row.kind,
            partner_id: row.partner_id,
            role_ids: roles.iter().map(|role| role.id).collect(),
            roles: roles.into_iter().map(|role| AccountRole { id: role.id, name: role.name }).collect(),
            enabled: row.enabled,
            last_login_at: wire::seconds(row.last_login_at),
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// Which accounts to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    /// Part of the account's name or nickname.
    search: Option<String>,
    /// `account` or `partner`; both when absent.
    kind: Option<String>,
    enabled: Option<bool>,
    role_id: Option<i64>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for AccountQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let kind = f.optional_text("kind", 16).filter(|k| !k.is_empty());
        if kind.as_deref().is_some_and(|k| k != "account" && k != "partner") {
            f.error("kind", "必须是 account 或 partner", "must be account or partner");
        }
        Self {
            search: f.optional_text("search", wire::MAX_NAME_CHARS).filter(|s| !s.is_empty()),
            kind,
            enabled: f.optional_bool("enabled"),
            role_id: f.optional_int("role_id", 1..=i64::MAX),
            paging: Paging::read(f),
        }
    }
}

/// Accounts, oldest first.
#[utoipa::path(get, path = "/api/account", operation_id = "ACCOUNT_LIST", tag = "accounts", params(AccountQuery, PagingParams),
    responses((status = 200, body = Data<Page<AccountRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<AccountQuery>,
) -> Result<Json<Data<Page<AccountRow>>>, ApiError> {
    wire::operator(&identity)?;
    let query = query.into_inner();
    let conn = ctx.platform.db.conn();
    let filter =
        Filter { search: query.search, kind: query.kind, enabled: query.enabled, role_id: query.role_id };
    let (rows, total) = store::page(conn, &filter, query.paging).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut roles = store::roles_of(conn, &ids).await?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let roles = roles.remove(&row.id).unwrap_or_default();
            AccountRow::new(row, roles)
        })
        .collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// An account to be made.
#[derive(Debug, ToSchema)]
pub struct AccountAdd {
    /// Login name: letters, digits and `. _ - + @`, at most 64; unique without regard to case.
    account: String,
    /// At least 10 characters, not a well-known one.
    #[schema(value_type = String, format = "password")]
    password: SecretString,
    nickname: String,
    /// Roles it holds.
    #[schema(required = false)]
    role_ids: Vec<i64>,
    /// true by default.
    #[schema(required = false)]
    enabled: bool,
}

impl FromFields for AccountAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            account: read_account(f, "account"),
            password: password::read_required(f, "password"),
            nickname: wire::required_name(f, "nickname"),
            role_ids: read_role_ids(f).unwrap_or_default(),
            enabled: f.optional_bool("enabled").unwrap_or(true),
        }
    }
}

/// A login name; "" and an error noted when it is none.
pub fn read_account(f: &mut Fields<'_>, field: &str) -> String {
    let account = f.required_text(field, MAX_ACCOUNT_CHARS);
    if !account.is_empty() && !rules::is_account_name(&account) {
        f.error(field, "只能含字母、数字和 . _ - + @", "may hold letters, digits and . _ - + @ only");
    }
    account
}

fn read_role_ids(f: &mut Fields<'_>) -> Option<Vec<i64>> {
    let mut ids = f.optional_int_list("role_ids", MAX_IDS)?;
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

/// Makes an operator's account.
#[utoipa::path(post, path = "/api/account", operation_id = "ACCOUNT_ADD", tag = "accounts",
    request_body = AccountAdd,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<AccountAdd>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let AccountAdd { account, password, nickname, role_ids, enabled } = body.into_inner();
    let id = service::add(&ctx, &who, NewAccount { account, nickname, password, role_ids, enabled }).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// One account.
#[utoipa::path(get, path = "/api/account/{account_id}", operation_id = "ACCOUNT_INFO", tag = "accounts",
    params(("account_id" = i64, Path)),
    responses((status = 200, body = Data<AccountRow>)))]
pub async fn info(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<AccountRow>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let row = store::by_id(conn, *id).await?.ok_or(AccountError::NotFound)?;
    let roles = store::roles_of(conn, &[*id]).await?.remove(&*id).unwrap_or_default();
    Ok(wire::ok(AccountRow::new(row, roles)))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct AccountModify {
    account: Option<String>,
    /// Ends all of the account's tokens.
    #[schema(value_type = Option<String>, format = "password")]
    password: Option<SecretString>,
    nickname: Option<String>,
    /// The roles it holds from now on.
    role_ids: Option<Vec<i64>>,
    /// false ends all of the account's tokens.
    enabled: Option<bool>,
}

impl FromFields for AccountModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            account: f.has("account").then(|| read_account(f, "account")),
            password: password::read_optional(f, "password"),
            nickname: wire::optional_name(f, "nickname"),
            role_ids: read_role_ids(f),
            enabled: f.optional_bool("enabled"),
        }
    }
}

/// Changes an operator's account.
#[utoipa::path(put, path = "/api/account/{account_id}", operation_id = "ACCOUNT_MODIFY", tag = "accounts",
    params(("account_id" = i64, Path)), request_body = AccountModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
    body: Body<AccountModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let AccountModify { account, password, nickname, role_ids, enabled } = body.into_inner();
    let change = AccountChange { account, nickname, password, role_ids, enabled };
    service::modify(&ctx, &who, *id, change).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

/// Deletes an operator's account.
#[utoipa::path(delete, path = "/api/account/{account_id}", operation_id = "ACCOUNT_DELETE", tag = "accounts",
    params(("account_id" = i64, Path)),
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

use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use secrecy::SecretString;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    service::{self, PartnerChange, PartnerError},
    store::{self, Filter},
};
use crate::{
    accounts::{self, http::read_account},
    app::Ctx,
    entities::{account, partner},
    keys, password,
    wire::{self, Data, IdOnly, MAX_IDS, Page, Paging, PagingParams, read_ids, status_word},
};

/// How customers' names and mobiles are shown to a partner.
const PRIVACIES: [&str; 3] = ["masked", "plain", "none"];

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/partner", get().to(list))
        .route("/api/partner", post().to(add))
        .route("/api/partner/{partner_id}", get().to(info))
        .route("/api/partner/{partner_id}", put().to(modify))
        .route("/api/partner/{partner_id}", delete().to(remove));
}

impl From<PartnerError> for ApiError {
    fn from(e: PartnerError) -> Self {
        match e {
            PartnerError::NotFound => Self::not_found("没有这个合作方", "no such partner"),
            PartnerError::NameTaken => Self::refused("合作方名称已存在", "the partner's name is taken"),
            PartnerError::LoginTaken => Self::refused("账号已存在", "the account name is taken"),
            PartnerError::NoLogin(field) => Self::invalid(
                field,
                "不能为空：这个合作方还没有登录账号",
                "is required: this partner has no login yet",
            ),
            PartnerError::Weak(weak) => {
                let (zh, en) = weak.words();
                Self::invalid("password", zh, en)
            }
            PartnerError::Hash(e) => e.into(),
            PartnerError::Policy(e) => e.into(),
            PartnerError::Db(e) => e.into(),
        }
    }
}

/// A partner. Times in unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerRow {
    id: i64,
    name: String,
    /// Login name, "" when it has none.
    login: String,
    /// Id of its login's account, 0 when it has none.
    account_id: i64,
    /// `enabled` or `disabled`.
    status: &'static str,
    /// How customers' names and mobiles are shown to it: `masked`, `plain` or `none`.
    privacy: String,
    /// Goods assigned from here; which goods are the partner's today says GET /api/goods?partner_id=.
    goods: Vec<i64>,
    /// Keys that are neither revoked nor expired.
    key_count: i64,
    last_login_at: i64,
    created_at: i64,
    updated_at: i64,
}

impl PartnerRow {
    pub fn new(row: partner::Model, login: Option<account::Model>, key_count: i64) -> Self {
        let (login, account_id, last_login_at) =
            login.map(|l| (l.account, l.id, l.last_login_at)).unwrap_or_default();
        Self {
            id: row.id,
            name: row.name,
            login,
            account_id,
            status: status_word(row.enabled),
            privacy: row.privacy,
            goods: read_ids(&row.goods_ids),
            key_count,
            last_login_at: wire::seconds(last_login_at),
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// Which partners to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartnerQuery {
    /// Part of the name.
    search: Option<String>,
    /// `enabled` or `disabled`.
    #[param(value_type = Option<String>)]
    status: Option<bool>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for PartnerQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            search: f.optional_text("search", wire::MAX_NAME_CHARS).filter(|s| !s.is_empty()),
            status: wire::optional_status(f),
            paging: Paging::read(f),
        }
    }
}

/// Partners, oldest first.
#[utoipa::path(get, path = "/api/partner", operation_id = "PARTNER_LIST", tag = "partners",
    params(PartnerQuery, PagingParams),
    responses((status = 200, body = Data<Page<PartnerRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<PartnerQuery>,
) -> Result<Json<Data<Page<PartnerRow>>>, ApiError> {
    wire::operator(&identity)?;
    let query = query.into_inner();
    let conn = ctx.platform.db.conn();
    let filter = Filter { search: query.search, enabled: query.status };
    let (rows, total) = store::page(conn, &filter, query.paging).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut logins = accounts::store::of_partners(conn, &ids).await?;
    let keys = keys::store::live_of(conn, "partner", &ids, ctx.platform.clock.now_ms()).await?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let id = row.id;
            PartnerRow::new(row, logins.remove(&id), keys.get(&id).copied().unwrap_or_default())
        })
        .collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// A partner to be made.
#[derive(Debug, ToSchema)]
pub struct PartnerAdd {
    name: String,
    /// Login name; needs a password too. Without both the partner has no login yet.
    login: Option<String>,
    /// At least 10 characters, not a well-known one.
    #[schema(value_type = Option<String>, format = "password")]
    password: Option<SecretString>,
    /// `enabled` (default) or `disabled`.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
    /// `masked` (default), `plain` or `none`.
    privacy: Option<String>,
    /// Ids of goods to be the partner's.
    goods: Option<Vec<i64>>,
}

impl FromFields for PartnerAdd {
    fn read(f: &mut Fields<'_>) -> Self {
        let add = Self {
            name: wire::required_name(f, "name"),
            login: read_login(f),
            password: password::read_optional(f, "password"),
            status: wire::optional_status(f),
            privacy: read_privacy(f),
            goods: f.optional_int_list("goods", MAX_IDS),
        };
        if add.login.is_some() && !f.has("password") {
            f.error("password", "不能为空", "is required");
        }
        add
    }
}

fn read_login(f: &mut Fields<'_>) -> Option<String> {
    let given = f.optional_text("login", accounts::rules::MAX_ACCOUNT_CHARS)?;
    (!given.is_empty()).then(|| read_account(f, "login"))
}

fn read_privacy(f: &mut Fields<'_>) -> Option<String> {
    let privacy = f.optional_text("privacy", 16).filter(|p| !p.is_empty())?;
    if !PRIVACIES.contains(&privacy.as_str()) {
        f.error("privacy", "必须是 masked、plain 或 none", "must be masked, plain or none");
    }
    Some(privacy)
}

/// Makes a partner, with a login when login and password are given.
#[utoipa::path(post, path = "/api/partner", operation_id = "PARTNER_ADD", tag = "partners",
    request_body = PartnerAdd,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<PartnerAdd>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let PartnerAdd { name, login, password, status, privacy, goods } = body.into_inner();
    let new = PartnerChange { name: Some(name), login, password, enabled: status, privacy, goods_ids: goods };
    let id = service::add(&ctx, &who, new).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// One partner.
#[utoipa::path(get, path = "/api/partner/{partner_id}", operation_id = "PARTNER_INFO", tag = "partners",
    params(("partner_id" = i64, Path)),
    responses((status = 200, body = Data<PartnerRow>)))]
pub async fn info(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
) -> Result<Json<Data<PartnerRow>>, ApiError> {
    wire::operator(&identity)?;
    let conn = ctx.platform.db.conn();
    let row = store::by_id(conn, *id).await?.ok_or(PartnerError::NotFound)?;
    let login = accounts::store::of_partner(conn, *id).await?;
    let keys = keys::store::live_of(conn, "partner", &[*id], ctx.platform.clock.now_ms()).await?;
    Ok(wire::ok(PartnerRow::new(row, login, keys.get(&*id).copied().unwrap_or_default())))
}

/// What to change; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct PartnerModify {
    name: Option<String>,
    /// A new login name ends all of its tokens.
    login: Option<String>,
    /// Ends all tokens of its login.
    #[schema(value_type = Option<String>, format = "password")]
    password: Option<SecretString>,
    /// `disabled` ends all tokens of its login and closes its keys.
    #[schema(value_type = Option<String>)]
    status: Option<bool>,
    privacy: Option<String>,
    goods: Option<Vec<i64>>,
}

impl FromFields for PartnerModify {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            name: wire::optional_name(f, "name"),
            login: read_login(f),
            password: password::read_optional(f, "password"),
            status: wire::optional_status(f),
            privacy: read_privacy(f),
            goods: f.optional_int_list("goods", MAX_IDS),
        }
    }
}

/// Changes a partner and its login.
#[utoipa::path(put, path = "/api/partner/{partner_id}", operation_id = "PARTNER_MODIFY", tag = "partners",
    params(("partner_id" = i64, Path)), request_body = PartnerModify,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    id: Path<i64>,
    body: Body<PartnerModify>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let PartnerModify { name, login, password, status, privacy, goods } = body.into_inner();
    let change = PartnerChange { name, login, password, enabled: status, privacy, goods_ids: goods };
    service::modify(&ctx, &who, *id, change).await?;
    Ok(wire::ok(IdOnly { id: *id }))
}

/// Deletes a partner: its login, keys and distributors end, its orders stay.
#[utoipa::path(delete, path = "/api/partner/{partner_id}", operation_id = "PARTNER_DELETE", tag = "partners",
    params(("partner_id" = i64, Path)),
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

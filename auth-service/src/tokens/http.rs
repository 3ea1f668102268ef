use actix_web::{
    HttpRequest,
    web::{Data as AppData, Json, ServiceConfig, get, post},
};
use contracts::identity::CallerKind;
use platform::http::{ApiError, Body, Fields, FromFields, caller::Identity};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules::{self, MAX_DEVICE_CHARS},
    service::{self, Login, TokenError},
};
use crate::{
    accounts,
    app::Ctx,
    audit::Who,
    password::{self, HashError},
    policy,
    wire::{self, Data, Nothing},
};

const MAX_ACCOUNT_CHARS: usize = 128;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/access/token", post().to(token))
        .route("/api/access/logout", post().to(logout))
        .route("/api/access/revoke", post().to(revoke))
        .route("/api/access/me", get().to(me))
        .route("/api/access/password", post().to(change_password));
}

impl From<HashError> for ApiError {
    fn from(e: HashError) -> Self {
        match e {
            HashError::Busy => Self::unavailable(e).with_retry_after(1),
            HashError::Phc(_) | HashError::Task(_) => Self::internal(e),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(e: TokenError) -> Self {
        match e {
            TokenError::WrongPair => Self::unauthenticated("账号或密码错误", "wrong account or password"),
            TokenError::Throttled(t) => Self::too_many_requests(t.retry_after_seconds).with_message(
                format!("登录失败次数过多，请在 {} 秒后重试", t.retry_after_seconds),
                format!("too many failed logins, try again in {} s", t.retry_after_seconds),
            ),
            TokenError::NotFound => Self::not_found("没有这个账号", "no such account"),
            TokenError::NoToken => Self::unauthenticated("没有令牌", "no token"),
            TokenError::Weak(weak) => {
                let (zh, en) = weak.words();
                Self::invalid("password", zh, en)
            }
            TokenError::Hash(e) => e.into(),
            TokenError::Sign(e) => Self::internal(e),
            TokenError::Policy(e) => e.into(),
            TokenError::Db(e) => e.into(),
        }
    }
}

/// A login.
#[derive(Debug, ToSchema)]
pub struct TokenRequest {
    #[schema(example = "admin")]
    account: String,
    #[schema(value_type = String, format = "password")]
    password: SecretString,
}

impl FromFields for TokenRequest {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            account: f.required_text("account", MAX_ACCOUNT_CHARS),
            password: password::read_required(f, "password"),
        }
    }
}

/// A token and what goes with it.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    token: String,
    /// `HS256`
    token_method: &'static str,
    /// `Bearer`
    token_type: &'static str,
    /// Unix seconds.
    expire_time: i64,
    nickname: String,
}

/// Gives an access token for account and password.
#[utoipa::path(post, path = "/api/access/token", operation_id = "GET_BEARER_TOKEN", tag = "tokens",
    request_body = TokenRequest,
    params(("X-Device-Id" = Option<String>, Header, description = "Stands in the token's `device` claim")),
    responses((status = 200, body = Data<TokenAnswer>),
        (status = 401, description = "Wrong account or password"),
        (status = 429, description = "Too many failed logins; Retry-After says when")))]
pub async fn token(
    ctx: AppData<Ctx>,
    identity: Identity,
    req: HttpRequest,
    body: Body<TokenRequest>,
) -> Result<Json<Data<TokenAnswer>>, ApiError> {
    let device = device(&req)?;
    let TokenRequest { account, password } = body.into_inner();
    let issued = service::log_in(&ctx, &Login { account, password, device, ip: identity.ip }).await?;
    Ok(wire::ok(TokenAnswer {
        token: issued.token.expose_secret().to_owned(),
        token_method: "HS256",
        token_type: "Bearer",
        expire_time: issued.expires,
        nickname: issued.nickname,
    }))
}

fn device(req: &HttpRequest) -> Result<String, ApiError> {
    let Some(value) = req.headers().get("x-device-id") else { return Ok(String::new()) };
    let device = value.to_str().ok().filter(|device| rules::is_device(device));
    device.map(str::to_owned).ok_or_else(|| {
        ApiError::invalid(
            "X-Device-Id",
            format!("必须是最多 {MAX_DEVICE_CHARS} 个可见 ASCII 字符"),
            format!("must be at most {MAX_DEVICE_CHARS} visible ASCII characters"),
        )
    })
}

/// The account behind a token; routes that any live token opens.
fn signed_in(identity: &Identity) -> Result<i64, ApiError> {
    match identity.caller.kind {
        CallerKind::Account | CallerKind::Partner => Ok(identity.caller.account_id),
        CallerKind::Anonymous => Err(TokenError::NoToken.into()),
    }
}

/// Ends the token this request came with.
#[utoipa::path(post, path = "/api/access/logout", operation_id = "ACCESS_LOGOUT", tag = "tokens",
    responses((status = 200, body = Data<Nothing>)))]
pub async fn logout(ctx: AppData<Ctx>, identity: Identity) -> Result<Json<Data<Nothing>>, ApiError> {
    let account = signed_in(&identity)?;
    service::log_out(&ctx, &Who::from(&identity), account, &identity.caller.jti).await?;
    Ok(wire::ok(Nothing {}))
}

/// Whose tokens to end.
#[derive(Debug, ToSchema)]
pub struct RevokeRequest {
    account_id: i64,
}

impl FromFields for RevokeRequest {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { account_id: f.required_int("account_id", 1..=i64::MAX) }
    }
}

/// All tokens of the account are dead.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevokeAnswer {
    id: i64,
    /// Unix seconds; tokens with an `iat` below are dead.
    tokens_valid_from: i64,
}

/// Ends all tokens of an account, also the caller's own if it is its own account.
#[utoipa::path(post, path = "/api/access/revoke", operation_id = "ACCESS_REVOKE", tag = "tokens",
    request_body = RevokeRequest,
    responses((status = 200, body = Data<RevokeAnswer>)))]
pub async fn revoke(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<RevokeRequest>,
) -> Result<Json<Data<RevokeAnswer>>, ApiError> {
    let who = wire::operator(&identity)?;
    let tokens_valid_from = service::revoke_all(&ctx, &who, body.account_id).await?;
    Ok(wire::ok(RevokeAnswer { id: body.account_id, tokens_valid_from }))
}

/// Who the token belongs to and what it opens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    id: i64,
    account: String,
    nickname: String,
    /// `account` or `partner`.
    kind: String,
    /// 0 for operators.
    partner_id: i64,
    /// Permission names, sorted; a partner has none and is let to its own by the routes themselves.
    permissions: Vec<String>,
    /// Unix seconds.
    last_login_at: i64,
}

/// The account behind this token and its permissions.
#[utoipa::path(get, path = "/api/access/me", operation_id = "ACCESS_ME", tag = "tokens",
    responses((status = 200, body = Data<Me>)))]
pub async fn me(ctx: AppData<Ctx>, identity: Identity) -> Result<Json<Data<Me>>, ApiError> {
    let id = signed_in(&identity)?;
    let conn = ctx.platform.db.conn();
    let account = accounts::store::by_id(conn, id).await?.ok_or(TokenError::NotFound)?;
    let mut permissions: Vec<String> = policy::store::permissions_of(conn, id).await?.into_iter().collect();
    permissions.sort_unstable();
    Ok(wire::ok(Me {
        id,
        account: account.account,
        nickname: account.nickname,
        kind: account.kind,
        partner_id: account.partner_id,
        permissions,
        last_login_at: wire::seconds(account.last_login_at),
    }))
}

/// A new password for oneself.
#[derive(Debug, ToSchema)]
pub struct PasswordRequest {
    #[schema(value_type = String, format = "password")]
    old_password: SecretString,
    /// At least 10 characters, not a well-known one.
    #[schema(value_type = String, format = "password")]
    password: SecretString,
}

impl FromFields for PasswordRequest {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            old_password: password::read_required(f, "old_password"),
            password: password::read_required(f, "password"),
        }
    }
}

/// Changes one's own password. All tokens of the account end, this one too.
#[utoipa::path(post, path = "/api/access/password", operation_id = "ACCESS_PASSWORD", tag = "tokens",
    request_body = PasswordRequest,
    responses((status = 200, body = Data<Nothing>)))]
pub async fn change_password(
    ctx: AppData<Ctx>,
    identity: Identity,
    body: Body<PasswordRequest>,
) -> Result<Json<Data<Nothing>>, ApiError> {
    let account = signed_in(&identity)?;
    let who = Who::from(&identity);
    match service::change_own_password(&ctx, &who, account, &body.old_password, &body.password).await {
        Ok(()) => Ok(wire::ok(Nothing {})),
        // The token is good; it is the field that is wrong.
        Err(TokenError::WrongPair) => Err(ApiError::invalid("old_password", "不正确", "is wrong")),
        Err(e) => Err(e.into()),
    }
}

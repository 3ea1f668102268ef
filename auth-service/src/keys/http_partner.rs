use actix_web::web::{Data as AppData, Json, Path, ServiceConfig, delete, get, post, put};
use platform::http::{ApiError, Body, Fields, FromFields, Query, caller::Identity};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    http_supplier::{KeyListQuery, RotateRequest, read_expires_at},
    rules::{self, MAX_QUOTA, Owner, SIGN_METHODS},
    service::{self, KeyChange, KeyError, Minted},
    store,
};
use crate::{
    app::Ctx,
    entities::api_key,
    partners, password,
    wire::{self, Data, IdOnly, MAX_NAME_CHARS, Page, PagingParams},
};

/// Networks one key may be used from.
const MAX_NETWORKS: usize = 100;
const MAX_NETWORK_CHARS: usize = 1000;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/partner/{partner_id}/key", get().to(list))
        .route("/api/partner/{partner_id}/key", post().to(add))
        .route("/api/partner/{partner_id}/key/{key_id}", put().to(modify))
        .route("/api/partner/{partner_id}/key/{key_id}", delete().to(revoke))
        .route("/api/partner/{partner_id}/key/{key_id}/rotate", post().to(rotate));
}

impl From<KeyError> for ApiError {
    fn from(e: KeyError) -> Self {
        match e {
            KeyError::NoSuchOwner => Self::not_found("没有这个合作方或供应商", "no such partner or supplier"),
            KeyError::NotFound => Self::not_found("没有这个密钥", "no such key"),
            KeyError::TooMany => Self::refused(
                format!("有效密钥已达 {} 个，请先吊销不用的", rules::MAX_LIVE_KEYS),
                format!("there are {} live keys already; revoke those not in use", rules::MAX_LIVE_KEYS),
            ),
            KeyError::Dead => Self::refused("密钥已吊销或过期", "the key is revoked or expired"),
            KeyError::Rotated => Self::refused("密钥已经轮换过", "the key was rotated already"),
            KeyError::NoApipwd => {
                Self::invalid("apipwd", "不能为空：设置了 apiuser", "is required with apiuser")
            }
            KeyError::NoApiuser => {
                Self::invalid("apiuser", "不能为空：设置了 apipwd", "is required with apipwd")
            }
            KeyError::Seal(e) => Self::internal(e),
            KeyError::Db(e) => e.into(),
        }
    }
}

/// A partner's key, without its secrets. Times in unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerKeyRow {
    id: i64,
    /// The first key of its chain of rotations, 0 = itself.
    root_id: i64,
    name: String,
    /// First characters of the key.
    prefix: String,
    /// `active`, `expiring` (rotated, or with an end), `expired` or `revoked`.
    status: &'static str,
    sign_required: bool,
    /// `md5` or `sha256`.
    sign_method: String,
    quota_per_second: i64,
    quota_per_day: i64,
    apiuser: String,
    /// Whether an apipwd is set.
    apipwd_set: bool,
    /// Networks it may be used from; empty = anywhere.
    ip_allow: Vec<String>,
    expires_at: i64,
    last_used_at: i64,
    /// When it was last used with an md5 signature.
    last_md5_at: i64,
    created_at: i64,
    updated_at: i64,
}

impl PartnerKeyRow {
    pub fn new(row: &api_key::Model, now_ms: i64) -> Self {
        Self {
            id: row.id,
            root_id: row.root_id,
            name: row.name.clone(),
            prefix: row.prefix.clone(),
            status: rules::status(row, now_ms),
            sign_required: row.sign_required,
            sign_method: row.sign_method.clone(),
            quota_per_second: row.quota_per_second,
            quota_per_day: row.quota_per_day,
            apiuser: row.apiuser.clone(),
            apipwd_set: !row.apipwd_md5_sealed.0.is_empty(),
            ip_allow: rules::read_networks(&row.ip_allow),
            expires_at: wire::seconds(row.expires_at),
            last_used_at: wire::seconds(row.last_used_at),
            last_md5_at: wire::seconds(row.last_md5_at),
            created_at: wire::seconds(row.created_at),
            updated_at: wire::seconds(row.updated_at),
        }
    }
}

/// A partner's keys, oldest first.
#[utoipa::path(get, path = "/api/partner/{partner_id}/key", operation_id = "PARTNER_KEY_LIST", tag = "keys",
    params(("partner_id" = i64, Path), PagingParams),
    responses((status = 200, body = Data<Page<PartnerKeyRow>>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    partner_id: Path<i64>,
    query: Query<KeyListQuery>,
) -> Result<Json<Data<Page<PartnerKeyRow>>>, ApiError> {
    wire::operator(&identity)?;
    let (conn, now) = (ctx.platform.db.conn(), ctx.platform.clock.now_ms());
    partners::store::by_id(conn, *partner_id).await?.ok_or(KeyError::NoSuchOwner)?;
    let (rows, total) = store::page(conn, Owner::Partner(*partner_id), query.paging).await?;
    let rows = rows.iter().map(|row| PartnerKeyRow::new(row, now)).collect();
    Ok(wire::ok(query.paging.page(rows, total)))
}

/// Settings of a partner's key; absent = unchanged, or the default when it is made.
#[derive(Debug, ToSchema)]
pub struct PartnerKeySettingsRequest {
    /// For people to tell keys apart.
    name: Option<String>,
    /// Unix seconds; 0 = never (default).
    expires_at: Option<i64>,
    /// Refuse requests without a good signature; false by default.
    sign_required: Option<bool>,
    /// `md5` (default) or `sha256`.
    sign_method: Option<String>,
    /// 1 by default.
    quota_per_second: Option<i64>,
    /// 10000 by default.
    quota_per_day: Option<i64>,
    /// Platform credential the caller must send too; "" takes it away, with apipwd.
    apiuser: Option<String>,
    #[schema(value_type = Option<String>, format = "password")]
    apipwd: Option<SecretString>,
    /// Addresses or networks it may be used from; empty = anywhere.
    ip_allow: Option<Vec<String>>,
}

impl FromFields for PartnerKeySettingsRequest {
    fn read(f: &mut Fields<'_>) -> Self {
        let sign_method = f.optional_text("sign_method", 16).filter(|m| !m.is_empty());
        if sign_method.as_deref().is_some_and(|m| !SIGN_METHODS.contains(&m)) {
            f.error("sign_method", "必须是 md5 或 sha256", "must be md5 or sha256");
        }
        Self {
            name: f.optional_text("name", MAX_NAME_CHARS),
            expires_at: read_expires_at(f),
            sign_required: f.optional_bool("sign_required"),
            sign_method,
            quota_per_second: f.optional_int("quota_per_second", 1..=MAX_QUOTA),
            quota_per_day: f.optional_int("quota_per_day", 1..=MAX_QUOTA),
            apiuser: f.optional_text("apiuser", MAX_NAME_CHARS),
            apipwd: password::read_optional(f, "apipwd"),
            ip_allow: read_networks(f),
        }
    }
}

fn read_networks(f: &mut Fields<'_>) -> Option<Vec<String>> {
    let texts = f.optional_text_list("ip_allow", MAX_NETWORKS, MAX_NETWORK_CHARS)?;
    let parts: Vec<&str> =
        texts.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|t| !t.is_empty()).collect();
    let mut networks = Vec::with_capacity(parts.len().min(MAX_NETWORKS));
    for (i, part) in parts.iter().take(MAX_NETWORKS).enumerate() {
        match rules::network(part) {
            Some(network) => networks.push(network),
            None => f.error(
                &format!("ip_allow.{i}"),
                "必须是 IP 地址或 CIDR 网段",
                "must be an IP address or a network in CIDR form",
            ),
        }
    }
    if parts.len() > MAX_NETWORKS {
        f.error(
            "ip_allow",
            format!("不能超过 {MAX_NETWORKS} 项"),
            format!("must have at most {MAX_NETWORKS} items"),
        );
    }
    Some(networks)
}

impl From<PartnerKeySettingsRequest> for KeyChange {
    fn from(request: PartnerKeySettingsRequest) -> Self {
        Self {
            name: request.name,
            expires_at: request.expires_at,
            goods_ids: None,
            sign_required: request.sign_required,
            sign_method: request.sign_method,
            quota_per_second: request.quota_per_second,
            quota_per_day: request.quota_per_day,
            apiuser: request.apiuser,
            apipwd: request.apipwd,
            ip_allow: request.ip_allow,
        }
    }
}

/// A key just made. `key` and `sk` are shown this once.
#[derive(Serialize, ToSchema)]
pub struct PartnerKeyMade {
    id: i64,
    key: String,
    /// Signs requests (`spec/partner-sync-api.md`, "Signature").
    sk: String,
    prefix: String,
    /// Unix seconds, 0 = never.
    expires_at: i64,
}

impl From<Minted> for PartnerKeyMade {
    fn from(minted: Minted) -> Self {
        Self {
            id: minted.id,
            key: minted.key.expose_secret().to_owned(),
            sk: minted.sk.map(|sk| sk.expose_secret().to_owned()).unwrap_or_default(),
            prefix: minted.prefix,
            expires_at: wire::seconds(minted.expires_at),
        }
    }
}

/// Makes a key and its SK for a partner; both are shown this once.
#[utoipa::path(post, path = "/api/partner/{partner_id}/key", operation_id = "PARTNER_KEY_ADD", tag = "keys",
    params(("partner_id" = i64, Path)), request_body = PartnerKeySettingsRequest,
    responses((status = 200, body = Data<PartnerKeyMade>)))]
pub async fn add(
    ctx: AppData<Ctx>,
    identity: Identity,
    partner_id: Path<i64>,
    body: Body<PartnerKeySettingsRequest>,
) -> Result<Json<Data<PartnerKeyMade>>, ApiError> {
    let who = wire::operator(&identity)?;
    let minted = service::add(&ctx, &who, Owner::Partner(*partner_id), body.into_inner().into()).await?;
    Ok(wire::ok(minted.into()))
}

/// Changes a key's settings.
#[utoipa::path(put, path = "/api/partner/{partner_id}/key/{key_id}", operation_id = "PARTNER_KEY_MODIFY",
    tag = "keys", params(("partner_id" = i64, Path), ("key_id" = i64, Path)),
    request_body = PartnerKeySettingsRequest,
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn modify(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
    body: Body<PartnerKeySettingsRequest>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (partner_id, id) = path.into_inner();
    service::modify(&ctx, &who, Owner::Partner(partner_id), id, body.into_inner().into()).await?;
    Ok(wire::ok(IdOnly { id }))
}

/// Makes a new key and SK with the same settings; the old one lives on for the overlap.
#[utoipa::path(post, path = "/api/partner/{partner_id}/key/{key_id}/rotate", operation_id = "PARTNER_KEY_ROTATE",
    tag = "keys", params(("partner_id" = i64, Path), ("key_id" = i64, Path)), request_body = RotateRequest,
    responses((status = 200, body = Data<PartnerKeyMade>)))]
pub async fn rotate(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
    body: Body<RotateRequest>,
) -> Result<Json<Data<PartnerKeyMade>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (partner_id, id) = path.into_inner();
    let minted = service::rotate(&ctx, &who, Owner::Partner(partner_id), id, body.overlap_seconds).await?;
    Ok(wire::ok(minted.into()))
}

/// Revokes a key, for good.
#[utoipa::path(delete, path = "/api/partner/{partner_id}/key/{key_id}", operation_id = "PARTNER_KEY_REVOKE",
    tag = "keys", params(("partner_id" = i64, Path), ("key_id" = i64, Path)),
    responses((status = 200, body = Data<IdOnly>)))]
pub async fn revoke(
    ctx: AppData<Ctx>,
    identity: Identity,
    path: Path<(i64, i64)>,
) -> Result<Json<Data<IdOnly>>, ApiError> {
    let who = wire::operator(&identity)?;
    let (partner_id, id) = path.into_inner();
    service::revoke(&ctx, &who, Owner::Partner(partner_id), id).await?;
    Ok(wire::ok(IdOnly { id }))
}

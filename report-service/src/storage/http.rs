//! Tokens, download addresses and copies on the wire.

use actix_web::{HttpRequest, web};
use contracts::identity::CallerKind;
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, Query, caller::Identity, form},
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{CopyError, StorageError, rules, service, store};
use crate::{app::Ctx, wire::Data};

const MAX_NAME: usize = 1024;
/// Keys of one copy.
const MAX_KEYS: usize = 100;

/// Adds this feature's routes. Before those of `reports`: `downloadurl` is no report's id.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/report/downloadurl").get(download_url))
        .service(web::resource("/api/qiniu/token").get(token))
        .service(web::resource("/api/qiniu/copyfile").get(copy_file).post(copy_file_post));
}

impl From<StorageError> for ApiError {
    fn from(e: StorageError) -> Self {
        match e {
            StorageError::Missing(keys) => {
                let keys = keys.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("、");
                Self::not_found(format!("文件不存在：{keys}"), format!("no such file: {keys}"))
            }
            StorageError::Exists(key) => Self::refused(
                format!("私有仓库中已有同名文件：{key}"),
                format!("the private bucket has a file of this name: {key}"),
            ),
            StorageError::Copy(e @ (CopyError::Unreachable(_) | CopyError::Refused(_))) => {
                Self::bad_gateway(e)
            }
            StorageError::Db(e) => e.into(),
            e => Self::internal(e),
        }
    }
}

/// Which bucket.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokenQuery {
    /// `default` (the public bucket, also when absent) or `private`.
    #[param(value_type = Option<String>, rename = "type")]
    private: bool,
}

impl FromFields for TokenQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let kind = f.optional_text("type", 32).unwrap_or_default();
        if !matches!(kind.as_str(), "" | "default" | "private") {
            f.error("type", "必须是 default 或 private", "must be default or private");
        }
        Self { private: kind == "private" }
    }
}

/// An upload token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadTokenAnswer)]
pub struct TokenAnswer {
    /// 0 = success.
    status: u16,
    qiniu_token: String,
}

/// A token for uploads, good for an hour.
#[utoipa::path(
    get, path = "/api/qiniu/token", operation_id = "GET_QINIU_TOKEN", tag = "storage", params(TokenQuery),
    responses((status = 200, body = TokenAnswer))
)]
pub async fn token(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<TokenQuery>,
) -> Result<web::Json<TokenAnswer>, ApiError> {
    let storage = &ctx.storage.0;
    let anonymous = identity.caller.kind == CallerKind::Anonymous;
    if anonymous && (query.private || !storage.anonymous_upload_token) {
        return Err(ApiError::unauthenticated("请先登录", "sign in first"));
    }
    let bucket = if query.private { &storage.private_bucket } else { &storage.bucket };
    let deadline = ctx.platform.clock.now_s() + storage.upload_token_seconds;
    Ok(web::Json(TokenAnswer { status: 0, qiniu_token: storage.keys.upload_token(bucket, deadline) }))
}

/// Which file.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// The last part of a report's src, or its file_name with its format.
    report_name: String,
}

impl FromFields for DownloadQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { report_name: f.required_text("report_name", MAX_NAME) }
    }
}

/// The address a report's file can be downloaded from for an hour.
#[utoipa::path(
    get, path = "/api/report/downloadurl", operation_id = "GET_REPORT_DOWNLOADURL", tag = "storage",
    params(DownloadQuery), responses((status = 200, body = Data<String>))
)]
pub async fn download_url(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    query: Query<DownloadQuery>,
) -> Result<web::Json<Data<String>>, ApiError> {
    let src = store::find_src(ctx.platform.db.conn(), &query.report_name).await?;
    let src = src.ok_or_else(|| ApiError::not_found("报告文件不存在", "no report has such a file"))?;
    let storage = &ctx.storage.0;
    let url = match rules::key_of(&src, &storage.public_base) {
        Some(key) => {
            let expires = ctx.platform.clock.now_s() + storage.download_seconds;
            storage.keys.private_url(&storage.private_base, &key, expires)
        }
        // Not ours to sign.
        None => src,
    };
    Ok(web::Json(Data::new(url)))
}

/// What to copy.
#[derive(Debug, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct CopyBody {
    /// Repeatable; absent = every report file that is not in the private bucket yet.
    #[param(value_type = Option<Vec<String>>)]
    key: Option<Vec<String>>,
    /// Overwrite what lies there.
    #[param(value_type = Option<bool>)]
    #[schema(value_type = Option<bool>)]
    force: bool,
}

impl FromFields for CopyBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            key: f.optional_text_list("key", MAX_KEYS, MAX_NAME).filter(|keys| !keys.is_empty()),
            force: f.optional_bool("force").unwrap_or(false),
        }
    }
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct CopyAnswer {
    message: &'static str,
}

/// Copies files to the private bucket.
#[utoipa::path(
    get, path = "/api/qiniu/copyfile", operation_id = "QINIU_COPY_FILE", tag = "storage", params(CopyBody),
    responses((status = 200, body = Data<CopyAnswer>))
)]
pub async fn copy_file(
    ctx: web::Data<Ctx>,
    identity: Identity,
    req: HttpRequest,
    query: Query<CopyBody>,
) -> Result<web::Json<Data<CopyAnswer>>, ApiError> {
    let mut copy = query.into_inner();
    let repeated = form::repeated_values(req.query_string(), "key")?;
    if repeated.len() > MAX_KEYS {
        return Err(ApiError::invalid(
            "key",
            format!("不能超过 {MAX_KEYS} 项"),
            format!("at most {MAX_KEYS}"),
        ));
    }
    if repeated.len() > 1 {
        copy.key = Some(repeated.into_iter().filter(|key| !key.is_empty()).collect());
    }
    copy_files(&ctx, &Who::from(&identity), copy).await
}

/// Copies files to the private bucket.
#[utoipa::path(
    post, path = "/api/qiniu/copyfile", operation_id = "QINIU_COPY_FILE", tag = "storage",
    request_body(content((CopyBody = "application/json"), (CopyBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<CopyAnswer>))
)]
pub async fn copy_file_post(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<CopyBody>,
) -> Result<web::Json<Data<CopyAnswer>>, ApiError> {
    copy_files(&ctx, &Who::from(&identity), body.into_inner()).await
}

async fn copy_files(ctx: &Ctx, who: &Who, copy: CopyBody) -> Result<web::Json<Data<CopyAnswer>>, ApiError> {
    match &copy.key {
        Some(keys) => service::copy_keys(ctx, who, keys, copy.force).await?,
        None => service::copy_all(ctx, who, copy.force).await?,
    }
    Ok(web::Json(Data::new(CopyAnswer { message: "File copied successfully" })))
}

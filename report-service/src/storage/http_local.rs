//! The local store on the wire: what Qiniu's servers do otherwise. The tokens in the requests are the keys;
//! with Qiniu configured these routes answer 404.

use std::io::Write;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{HttpResponse, body::SizedStream, web};
use futures_util::TryStreamExt;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use tempfile::NamedTempFile;
use utoipa::{IntoParams, ToSchema};

use super::{
    Files, StorageError,
    local::{Kept, LocalStore},
    rules::{self, FileType},
};
use crate::{app::Ctx, files};

/// Characters of a token or key in a form.
const MAX_FIELD_BYTES: usize = 4096;
const HEAD_BYTES: usize = 16;

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/storage/upload").post(upload))
        .service(web::resource("/storage/public/{key:.*}").get(public))
        .service(web::resource("/storage/private/{key:.*}").get(private));
}

fn no_such_file() -> ApiError {
    ApiError::not_found("文件不存在", "no such file")
}

fn local(ctx: &Ctx) -> Result<&LocalStore, ApiError> {
    match &ctx.storage.0.files {
        Files::Local(local) => Ok(local),
        Files::Qiniu(_) => Err(no_such_file()),
    }
}

/// An upload, as Qiniu takes it: `token` and `key` before `file`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a multipart body")]
pub struct UploadForm {
    /// From `/api/qiniu/token`.
    token: String,
    /// The storage key; its ending says what the file is.
    key: String,
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// What was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadAnswer {
    /// 0 = success.
    status: u16,
    key: String,
    /// Bytes.
    size: u64,
}

/// Takes a file into the bucket the token opens. Nothing is overwritten.
#[utoipa::path(
    post, path = "/storage/upload", operation_id = "STORAGE_UPLOAD", tag = "storage",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = UploadAnswer))
)]
pub async fn upload(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    mut form: Multipart,
) -> Result<web::Json<UploadAnswer>, ApiError> {
    let local = local(&ctx)?.clone();
    let (mut token, mut key) = (String::new(), String::new());
    while let Some(field) = form.try_next().await.map_err(unreadable)? {
        match field.name().unwrap_or_default() {
            "token" => token = text(field).await?,
            "key" => key = text(field).await?,
            "file" => {
                let (bucket, kind) = admit(&ctx, &token, &key)?;
                let (file, size) = receive(&ctx, &local, field, kind).await?;
                let (name, at) = (key.clone(), bucket);
                let kept = tokio::task::spawn_blocking(move || local.keep(&at, &name, file)).await;
                return match kept.map_err(StorageError::from)?.map_err(StorageError::from)? {
                    Kept::New | Kept::Same => Ok(web::Json(UploadAnswer { status: 0, key, size })),
                    Kept::Taken => Err(StorageError::Exists(key).into()),
                };
            }
            _ => drop(text(field).await?),
        }
    }
    Err(ApiError::invalid("file", "不能为空", "is required"))
}

fn unreadable(e: MultipartError) -> ApiError {
    ApiError::unreadable_body("请求体必须是 multipart/form-data", "the body must be multipart/form-data")
        .with_source(e.to_string())
}

async fn text(mut field: Field) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.try_next().await.map_err(unreadable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD_BYTES {
            return Err(ApiError::too_large(MAX_FIELD_BYTES));
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| ApiError::unreadable_body("请求体不是 UTF-8", "the body is not UTF-8"))
}

/// Checks token and key before a byte of the file is taken.
fn admit(ctx: &Ctx, token: &str, key: &str) -> Result<(String, FileType), ApiError> {
    let storage = &ctx.storage.0;
    let bucket = storage
        .keys
        .opened_by(token, ctx.platform.clock.now_s())
        .filter(|bucket| *bucket == storage.bucket || *bucket == storage.private_bucket)
        .ok_or_else(|| {
            ApiError::unauthenticated("上传凭证无效或已过期", "the upload token is not valid any more")
        })?;
    if !rules::is_local_key(key) {
        return Err(ApiError::invalid("key", "不是有效的文件名", "is no valid key"));
    }
    let kind = rules::type_of(key)
        .ok_or_else(|| ApiError::unsupported_media("不支持的文件类型", "this type of file is not taken"))?;
    Ok((bucket, kind))
}

/// Spools the file, at most the configured size of it, and looks at its first bytes.
async fn receive(
    ctx: &Ctx,
    local: &LocalStore,
    mut field: Field,
    kind: FileType,
) -> Result<(NamedTempFile, u64), ApiError> {
    let limit = ctx.storage.0.max_upload_bytes;
    let mut file = local.incoming().map_err(ApiError::internal)?;
    let (mut size, mut head) = (0_u64, Vec::with_capacity(HEAD_BYTES));
    while let Some(chunk) = field.try_next().await.map_err(unreadable)? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(ApiError::too_large(usize::try_from(limit).unwrap_or(usize::MAX)));
        }
        head.extend(chunk.iter().take(HEAD_BYTES - head.len()));
        file.write_all(&chunk).map_err(ApiError::internal)?;
    }
    if !kind.keeps(&head) {
        return Err(ApiError::unsupported_media(
            "文件内容与扩展名不符",
            "the file is not what its ending says",
        ));
    }
    Ok((file, size))
}

/// A file of the public bucket.
#[utoipa::path(
    get, path = "/storage/public/{*key}", operation_id = "STORAGE_PUBLIC", tag = "storage",
    params(("*key" = String, Path)), responses((status = 200, content_type = "application/octet-stream"))
)]
pub async fn public(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    key: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    serve(&ctx, ctx.storage.0.bucket.clone(), key.into_inner(), "public, max-age=86400").await
}

/// The signature of a private address.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PrivateQuery {
    /// Unix seconds until which the address is good.
    e: i64,
    token: String,
}

impl FromFields for PrivateQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { e: f.required_int("e", 0..=i64::MAX), token: f.required_text("token", MAX_FIELD_BYTES) }
    }
}

/// A file of the private bucket, by its signed address.
#[utoipa::path(
    get, path = "/storage/private/{*key}", operation_id = "STORAGE_PRIVATE", tag = "storage",
    params(("*key" = String, Path), PrivateQuery),
    responses((status = 200, content_type = "application/octet-stream"))
)]
pub async fn private(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    key: web::Path<String>,
    query: Query<PrivateQuery>,
) -> Result<HttpResponse, ApiError> {
    let storage = &ctx.storage.0;
    let now = ctx.platform.clock.now_s();
    if !storage.keys.opens(&storage.private_base, &key, query.e, &query.token, now) {
        return Err(ApiError::unauthenticated("下载地址无效或已过期", "this address is not valid any more"));
    }
    serve(&ctx, storage.private_bucket.clone(), key.into_inner(), "private, no-store").await
}

async fn serve(
    ctx: &Ctx,
    bucket: String,
    key: String,
    cache: &'static str,
) -> Result<HttpResponse, ApiError> {
    let local = local(ctx)?.clone();
    let kind = rules::type_of(&key).ok_or_else(no_such_file)?;
    let opened = tokio::task::spawn_blocking(move || local.open(&bucket, &key)).await;
    let file = opened.map_err(StorageError::from)?.map_err(StorageError::from)?.ok_or_else(no_such_file)?;
    let (length, chunks) = files::stream(file).await.map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(kind.media_type)
        .insert_header(("cache-control", cache))
        // Whatever lies in the file, it runs nothing on our origin.
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("content-security-policy", "default-src 'none'; sandbox"))
        .body(SizedStream::new(length, Box::pin(chunks))))
}

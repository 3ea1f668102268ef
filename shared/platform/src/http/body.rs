//! Extractors: a body or a query as a typed request. JSON and forms on every endpoint
//! (`spec/report-admin-api.md`, "Bodies in"); the size is bounded while streaming.

use std::ops::Deref;

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde_json::{Map, Value};

use super::{
    error::ApiError,
    fields::{self, FromFields},
    form::{parse_form, parse_query},
};

/// Largest body when no [`BodyLimit`] says otherwise.
pub const DEFAULT_BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// Largest body of a request, bytes; a request extension (the gateway sets the route's) or app data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

impl BodyLimit {
    /// The limit that holds for `req`.
    pub fn of(req: &HttpRequest) -> Self {
        let own = req.extensions().get::<Self>().copied();
        own.or_else(|| req.app_data::<Self>().copied()).unwrap_or(Self(DEFAULT_BODY_LIMIT_BYTES))
    }
}

/// A request body, JSON or form, read as a `T`.
#[derive(Debug)]
pub struct Body<T> {
    pub value: T,
    /// Fingerprint for idempotency: SHA-256 of method, path with query, and the body's bytes.
    pub sha256: String,
}

impl<T> Body<T> {
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromFields + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let bytes = read_body(&req, &mut payload).await?;
            let object = parse_object(media_type(&req).as_deref(), &bytes)?;
            Ok(Self { value: fields::read(&object)?, sha256: fingerprint(&req, &bytes) })
        })
    }
}

/// The query read as a `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T> Query<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromFields> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(req.query_string()).and_then(|q| fields::read(&q)).map(Self))
    }
}

/// Query and body of a drop-in entry in one object, body wins; the raw texts stay, because signatures are
/// made over them. Any content type is taken (the seed's own is not a valid one): what starts with `{` is
/// JSON, the rest a form.
#[derive(Debug)]
pub struct Merged {
    pub fields: Map<String, Value>,
    /// The query exactly as it came, without `?`.
    pub raw_query: String,
    /// The body exactly as it came.
    pub raw_body: Bytes,
}

impl Merged {
    /// The fields as a `T`, or every field that is missing or wrong.
    pub fn read<T: FromFields>(&self) -> Result<T, ApiError> {
        fields::read(&self.fields)
    }
}

impl FromRequest for Merged {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let raw_body = read_body(&req, &mut payload).await?;
            let raw_query = req.query_string().to_owned();
            let mut fields = parse_query(&raw_query)?;
            let json = raw_body.trim_ascii_start().starts_with(b"{");
            fields.extend(if json { json_object(&raw_body)? } else { form_object(&raw_body)? });
            Ok(Self { fields, raw_query, raw_body })
        })
    }
}

/// The whole body, at most [`BodyLimit::of`] bytes of it.
///
/// # Errors
/// 413 beyond the limit, 415 for a compressed body, 400 when the connection breaks.
pub async fn read_body(req: &HttpRequest, payload: &mut Payload) -> Result<Bytes, ApiError> {
    let BodyLimit(limit) = BodyLimit::of(req);
    let header = |name| req.headers().get(name).and_then(|v| v.to_str().ok());
    if header(CONTENT_ENCODING).is_some_and(|e| !e.trim().eq_ignore_ascii_case("identity")) {
        return Err(ApiError::unsupported_media("不支持压缩的请求体", "compressed bodies are not supported"));
    }
    let announced = header(CONTENT_LENGTH).and_then(|l| l.parse::<u64>().ok()).unwrap_or(0);
    if announced > limit as u64 {
        return Err(ApiError::too_large(limit));
    }
    let mut body = BytesMut::with_capacity((announced as usize).min(64 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| {
            ApiError::unreadable_body("请求体不完整", "the body is incomplete").with_source(e.to_string())
        })?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Fingerprint of a request for idempotency: the same key must not replay one path's answer on another.
pub fn fingerprint(req: &HttpRequest, body: &[u8]) -> String {
    let mut text = format!("{} {}?{}\n", req.method(), req.path(), req.query_string()).into_bytes();
    text.extend_from_slice(body);
    crate::seal::sha256_hex(&text)
}

/// The media type in lower case without parameters.
fn media_type(req: &HttpRequest) -> Option<String> {
    let value = req.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A body of `media_type` as an object; an empty one is an empty object whatever its type.
///
/// # Errors
/// 400/1 for another or no type, bad UTF-8, broken JSON, JSON that is not an object.
pub fn parse_object(media_type: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match media_type {
        Some("application/json") => json_object(body),
        Some("application/x-www-form-urlencoded") => form_object(body),
        _ => Err(ApiError::unreadable_body(
            "请求体必须是 application/json 或 application/x-www-form-urlencoded",
            "the body must be application/json or application/x-www-form-urlencoded",
        )),
    }
}

fn form_object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| {
        ApiError::unreadable_body("请求体不是有效的 UTF-8 文本", "the body is not valid UTF-8")
    })?;
    parse_form(text.trim_ascii_end())
}

fn json_object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::unreadable_body("请求体必须是 JSON 对象", "the body must be a JSON object")),
        Err(e) => {
            let (line, column) = (e.line(), e.column());
            Err(ApiError::unreadable_body(
                format!("请求体不是有效的 JSON（第 {line} 行第 {column} 列）"),
                format!("the body is not valid JSON (line {line}, column {column})"),
            ))
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

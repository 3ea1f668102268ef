//! The one error of the HTTP surface. Carries the facts; `render` puts them into a wire dialect.
//!
//! A caller gets one sentence, the fields to blame and, for our own faults, the request id. The source
//! stays inside and is logged once, at the edge (`context`).

use std::{borrow::Cow, error::Error, fmt};

use actix_web::http::StatusCode;
use contracts::routes::Dialect;

use super::context::Language;

/// A cause that is logged and never shown.
pub type Source = Box<dyn Error + Send + Sync>;

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub zh: Cow<'static, str>,
    pub en: Cow<'static, str>,
}

impl Message {
    pub fn new(zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    /// The text in `language`.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// Why a route is closed (`spec/report-admin-api.md`, status 3, 4, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForbiddenKind {
    /// The account's roles do not hold the permission.
    NotGranted,
    /// The route's permission name is not registered.
    NotRegistered,
    /// The permission is registered, but no role holds it.
    NoRole,
}

/// A failed request. Boxed inside, so that a `Result` that carries it stays small.
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    http: StatusCode,
    status: u16,
    message: Message,
    errors: Vec<(String, Message)>,
    retry_after_seconds: Option<u64>,
    dialect: Option<Dialect>,
    data: Option<serde_json::Value>,
    source: Option<Source>,
}

type Text = Cow<'static, str>;

impl ApiError {
    /// An error that none of the constructors below fits. `status` is the wire number.
    pub fn new(http: StatusCode, status: u16, message: Message) -> Self {
        Self(Box::new(Inner {
            http,
            status,
            message,
            errors: Vec::new(),
            retry_after_seconds: None,
            dialect: None,
            data: None,
            source: None,
        }))
    }

    fn say(http: StatusCode, status: u16, zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::new(http, status, Message::new(zh, en))
    }

    /// 400/1: one field is missing or wrong. The message goes on after the field's name: `不能为空`.
    pub fn invalid(field: impl Into<String>, zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::invalid_fields(vec![(field.into(), Message::new(zh, en))])
    }

    /// 400/1: these fields are missing or wrong.
    pub fn invalid_fields(errors: Vec<(String, Message)>) -> Self {
        let sentence = |language, stop: &str| {
            let parts: Vec<_> =
                errors.iter().take(3).map(|(field, m)| format!("{field} {}", m.text(language))).collect();
            parts.join(stop)
        };
        let (zh, en) = (sentence(Language::Zh, "；"), sentence(Language::En, "; "));
        let mut error = Self::say(StatusCode::BAD_REQUEST, 1, zh, en);
        error.0.errors = errors;
        error
    }

    /// 400/1: the body or the query cannot be read at all.
    pub fn unreadable_body(zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::say(StatusCode::BAD_REQUEST, 1, zh, en)
    }

    /// 400/2: well formed, but a rule forbids it.
    pub fn refused(zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::say(StatusCode::BAD_REQUEST, 2, zh, en)
    }

    /// 401/6: no credential, or one that does not hold.
    pub fn unauthenticated(zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::say(StatusCode::UNAUTHORIZED, 6, zh, en)
    }

    /// 403/3, 4 or 5.
    pub fn forbidden(kind: ForbiddenKind) -> Self {
        let (status, zh, en) = match kind {
            ForbiddenKind::NotGranted => (3, "权限不足", "your roles do not hold this permission"),
            ForbiddenKind::NotRegistered => (4, "权限路由未登记", "this route is not registered"),
            ForbiddenKind::NoRole => (5, "权限路由未关联任何角色", "no role holds this permission"),
        };
        Self::say(StatusCode::FORBIDDEN, status, zh, en)
    }

    /// 404/7.
    pub fn not_found(zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::say(StatusCode::NOT_FOUND, 7, zh, en)
    }

    /// 405/7: the path exists, but not with this method.
    pub fn method_not_allowed() -> Self {
        Self::say(StatusCode::METHOD_NOT_ALLOWED, 7, "不支持的请求方法", "method not allowed")
    }

    /// 409/8: a request with the same Idempotency-Key is still running.
    pub fn running() -> Self {
        Self::say(
            StatusCode::CONFLICT,
            8,
            "相同 Idempotency-Key 的请求正在处理",
            "a request with the same Idempotency-Key is still running",
        )
    }

    /// 422/8: the Idempotency-Key was used for another request.
    pub fn idempotency_mismatch() -> Self {
        Self::say(
            StatusCode::UNPROCESSABLE_ENTITY,
            8,
            "该 Idempotency-Key 已用于另一个请求",
            "this Idempotency-Key was used for another request",
        )
    }

    /// 413/1.
    pub fn too_large(limit_bytes: usize) -> Self {
        Self::say(
            StatusCode::PAYLOAD_TOO_LARGE,
            1,
            format!("请求体过大，最多 {limit_bytes} 字节"),
            format!("the body is too large, at most {limit_bytes} bytes"),
        )
    }

    /// 415/1.
    pub fn unsupported_media(zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        Self::say(StatusCode::UNSUPPORTED_MEDIA_TYPE, 1, zh, en)
    }

    /// 429/9; `seconds` until the next try, sent as Retry-After.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self::say(
            StatusCode::TOO_MANY_REQUESTS,
            9,
            format!("请求过于频繁，请在 {seconds} 秒后重试"),
            format!("too many requests, try again in {seconds} s"),
        )
        .with_retry_after(seconds)
    }

    /// 500: our fault.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::server(StatusCode::INTERNAL_SERVER_ERROR, "服务器内部错误", "internal error", source)
    }

    /// 502: a service behind this one gave no usable answer.
    pub fn bad_gateway(source: impl Into<Source>) -> Self {
        Self::server(
            StatusCode::BAD_GATEWAY,
            "上游服务无法应答",
            "an upstream service did not answer",
            source,
        )
    }

    /// 503: cannot be done just now (no database connection, shutting down).
    pub fn unavailable(source: impl Into<Source>) -> Self {
        let (zh, en) = ("服务暂时不可用，请稍后重试", "temporarily unavailable, try again later");
        Self::server(StatusCode::SERVICE_UNAVAILABLE, zh, en, source)
    }

    /// 504: a service behind this one took too long.
    pub fn gateway_timeout(source: impl Into<Source>) -> Self {
        Self::server(StatusCode::GATEWAY_TIMEOUT, "上游服务超时", "an upstream service took too long", source)
    }

    fn server(http: StatusCode, zh: &'static str, en: &'static str, source: impl Into<Source>) -> Self {
        Self::say(http, 500, zh, en).with_source(source)
    }

    /// Adds the cause: logged, never shown.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Another sentence for the same kind of error.
    #[must_use]
    pub fn with_message(mut self, zh: impl Into<Text>, en: impl Into<Text>) -> Self {
        self.0.message = Message::new(zh, en);
        self
    }

    /// Adds Retry-After.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds facts a program can act on (the id that exists already, the states that are allowed): they
    /// stand under `data` of the body.
    #[must_use]
    pub fn with_data(mut self, data: serde_json::Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// Renders in `dialect`, whatever the request's context says.
    #[must_use]
    pub fn in_dialect(mut self, dialect: Dialect) -> Self {
        self.0.dialect = Some(dialect);
        self
    }

    /// The HTTP status this error stands for; the drop-in dialects put 200 on the wire all the same.
    pub fn http_status(&self) -> StatusCode {
        self.0.http
    }

    /// The number in the body (`spec/report-admin-api.md`, "Status numbers").
    pub fn status(&self) -> u16 {
        self.0.status
    }

    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Fields to blame under their dotted names, with the words that follow the name.
    pub fn errors(&self) -> &[(String, Message)] {
        &self.0.errors
    }

    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after_seconds
    }

    pub fn data(&self) -> Option<&serde_json::Value> {
        self.0.data.as_ref()
    }

    pub(super) fn dialect(&self) -> Option<Dialect> {
        self.0.dialect
    }

    pub fn is_server_error(&self) -> bool {
        self.0.http.is_server_error()
    }

    /// The error and its causes, outermost first, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message.en)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|s| s.as_ref() as &(dyn Error + 'static))
    }
}

impl From<sea_orm::DbErr> for ApiError {
    /// 503 when the database cannot be reached just now, else 500.
    fn from(e: sea_orm::DbErr) -> Self {
        if crate::db::is_transient(&e) { Self::unavailable(e) } else { Self::internal(e) }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

    use super::*;

    #[test]
    fn every_kind_has_the_status_pair_of_the_table() {
        let pairs = [
            (ApiError::invalid("a", "不能为空", "is required"), 400, 1),
            (ApiError::unreadable_body("x", "x"), 400, 1),
            (ApiError::refused("x", "x"), 400, 2),
            (ApiError::unauthenticated("x", "x"), 401, 6),
            (ApiError::forbidden(ForbiddenKind::NotGranted), 403, 3),
            (ApiError::forbidden(ForbiddenKind::NotRegistered), 403, 4),
            (ApiError::forbidden(ForbiddenKind::NoRole), 403, 5),
            (ApiError::not_found("x", "x"), 404, 7),
            (ApiError::method_not_allowed(), 405, 7),
            (ApiError::running(), 409, 8),
            (ApiError::idempotency_mismatch(), 422, 8),
            (ApiError::too_large(7), 413, 1),
            (ApiError::unsupported_media("x", "x"), 415, 1),
            (ApiError::too_many_requests(3), 429, 9),
            (ApiError::internal("x"), 500, 500),
            (ApiError::bad_gateway("x"), 502, 500),
            (ApiError::unavailable("x"), 503, 500),
            (ApiError::gateway_timeout("x"), 504, 500),
        ];
        for (error, http, status) in pairs {
            assert_eq!((error.http_status().as_u16(), error.status()), (http, status), "{error}");
        }
    }

    #[test]
    fn a_database_that_cannot_be_reached_is_503_and_a_broken_statement_500() {
        let acquire = ApiError::from(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
        assert_eq!(acquire.http_status().as_u16(), 503);
        let conn = ApiError::from(DbErr::Conn(RuntimeErr::Internal("refused".into())));
        assert_eq!(conn.http_status().as_u16(), 503);
        let query = ApiError::from(DbErr::Query(RuntimeErr::Internal("no such table".into())));
        assert_eq!(query.http_status().as_u16(), 500);
        assert!(query.chain().contains("no such table"), "{}", query.chain());
    }

    #[test]
    fn an_error_stays_one_pointer_wide() {
        assert_eq!(size_of::<ApiError>(), size_of::<usize>());
    }
}

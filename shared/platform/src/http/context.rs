//! What holds for the length of one request: its id, language, wire dialect and trace, kept in a tokio
//! task-local so that an error renders itself without being handed a request.
//!
//! A streamed body is polled after the scope has ended; a stream that needs the context takes a copy first.

use std::sync::Arc;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};
use contracts::{
    identity::REQUEST_ID_HEADER,
    routes::{self, Dialect},
};

use tracing::{Instrument, Span, field::Empty};

use super::error::ApiError;
use crate::telemetry;

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

/// Language of the messages: Chinese unless the caller prefers English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    /// Reads an Accept-Language value; the first of the best-liked decides, others than zh and en do not count.
    pub fn preferred(accept: &str) -> Self {
        let mut best = (0.0_f32, Self::Zh);
        for item in accept.split(',').take(32) {
            let mut parts = item.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let language = match tag.split('-').next() {
                Some("zh") => Self::Zh,
                Some("en") => Self::En,
                _ => continue,
            };
            let weight =
                parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// The facts of the request at hand.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// At most 64 of `[A-Za-z0-9._-]`; "" outside of a request.
    pub request_id: String,
    pub language: Language,
    /// How errors are worded on the wire.
    pub dialect: Dialect,
    /// W3C trace context as it came in, if well formed.
    pub traceparent: Option<String>,
}

impl RequestContext {
    /// From a request's headers; a missing or odd request id is replaced by a new one.
    pub fn from_headers(headers: &HeaderMap, dialect: Dialect) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        Self {
            request_id: text(REQUEST_ID_HEADER)
                .filter(|id| is_request_id(id))
                .map_or_else(new_request_id, str::to_owned),
            language: text(ACCEPT_LANGUAGE.as_str()).map_or(Language::Zh, Language::preferred),
            dialect,
            traceparent: text("traceparent").filter(|t| is_traceparent(t)).map(str::to_owned),
        }
    }

    /// The current request's context; outside of a request Chinese, admin dialect, no id.
    pub fn current() -> Arc<Self> {
        CURRENT.try_with(Arc::clone).unwrap_or_else(|_| {
            Arc::new(Self {
                request_id: String::new(),
                language: Language::Zh,
                dialect: Dialect::Admin,
                traceparent: None,
            })
        })
    }

    /// Runs `future` with this context as the current one.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(Arc::new(self), future).await
    }
}

/// A new request id: 128 random bits in hex.
pub fn new_request_id() -> String {
    hex::encode(crate::seal::random_bytes::<16>())
}

/// Is `id` fit to be logged and echoed?
pub fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// `version-trace-parent-flags` in lower hex, ids not all zero.
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |s: &str, n: usize| {
        s.len() == n && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    matches!(parts[..], [v, trace, span, flags]
        if hex(v, 2) && v != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && trace.bytes().any(|b| b != b'0') && span.bytes().any(|b| b != b'0'))
}

/// The dialect of the route table for `path`; only drop-in entries, which have no parameters, differ from admin.
fn dialect_of(path: &str) -> Dialect {
    routes::all()
        .find(|r| r.dialect != Dialect::Admin && r.path == path)
        .map_or(Dialect::Admin, |r| r.dialect)
}

/// Middleware (`from_fn`) of a service's own server: makes the context, goes on with the gateway's trace, runs the
/// request in it, adds the request id to the answer, and logs a failure that is ours, once.
pub async fn request_context<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let context = RequestContext::from_headers(req.headers(), dialect_of(req.path()));
    let Some(span) = request_span(&context, &req) else { return serve(context, req, next).await };
    let answer = serve(context, req, next).instrument(span.clone()).await;
    if let Ok(response) = &answer {
        if let Some(pattern) = response.request().match_pattern() {
            let name = format!("{} {pattern}", response.request().method());
            span.record("otel.name", name).record("http.route", pattern);
        }
        span.record("http.response.status_code", response.status().as_u16());
    }
    answer
}

/// The service's part of a trace; `None` where there is none to go on with. Probes and scrapes come without one.
fn request_span(context: &RequestContext, req: &ServiceRequest) -> Option<Span> {
    let traceparent = context.traceparent.as_deref()?;
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        http.request.method = req.method().as_str(),
        http.route = Empty,
        http.response.status_code = Empty,
        request_id = context.request_id,
    );
    telemetry::parent_from(traceparent, &span);
    Some(span)
}

/// Runs the rest of the request in `context`: what [`request_context`] does, for a gateway that makes its own.
pub async fn serve<B: MessageBody + 'static>(
    context: RequestContext,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = HeaderValue::from_str(&context.request_id).unwrap_or(HeaderValue::from_static("-"));
    let name = HeaderName::from_static(REQUEST_ID_HEADER);
    context
        .scope(async move {
            match next.call(req).await {
                Ok(mut response) => {
                    response.response().error().inspect(|e| log_failure(e));
                    response.headers_mut().insert(name, id);
                    Ok(response)
                }
                // Rendered here, because whoever gets it outside no longer knows dialect and language.
                Err(e) => {
                    log_failure(&e);
                    let mut response = e.error_response();
                    response.headers_mut().insert(name, id);
                    Err(InternalError::from_response(e, response).into())
                }
            }
        })
        .await
}

/// Middleware body for a scope whose errors speak `dialect` whatever its path is called, as the supplier
/// entry's name is a setting: `from_fn(|req, next| speak(Dialect::Supplier, req, next))`.
pub async fn speak<B: MessageBody + 'static>(
    dialect: Dialect,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let context = RequestContext { dialect, ..RequestContext::current().as_ref().clone() };
    context
        .scope(async move {
            next.call(req).await.map_err(|e| {
                log_failure(&e);
                let response = e.error_response();
                InternalError::from_response(e, response).into()
            })
        })
        .await
}

/// Logs an error that is ours with its causes; what the caller did wrong goes to debug.
fn log_failure(error: &Error) {
    // Rendered, and logged, by a middleware further in.
    if error.as_error::<InternalError<Error>>().is_some() {
        return;
    }
    let request_id = RequestContext::current().request_id.clone();
    let status = error.as_response_error().status_code();
    let chain = error.as_error::<ApiError>().map_or_else(|| error.to_string(), ApiError::chain);
    if status.is_server_error() {
        tracing::error!(%request_id, status = status.as_u16(), "request failed: {chain}");
    } else {
        tracing::debug!(%request_id, status = status.as_u16(), "request refused: {chain}");
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, middleware::from_fn, test as wire, web};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_language_is_english_only_when_preferred() {
        let cases = [
            ("", Language::Zh),
            ("en", Language::En),
            ("en-US,en;q=0.9,zh;q=0.8", Language::En),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("zh;q=0.3, en;q=0.7", Language::En),
            ("fr, de", Language::Zh),
            ("fr, en;q=0.1", Language::En),
            ("en;q=0", Language::Zh),
            ("en;q=abc", Language::Zh),
            ("EN-gb", Language::En),
            (",;,;q=,=", Language::Zh),
        ];
        for (accept, expected) in cases {
            assert_eq!(Language::preferred(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn odd_request_ids_and_traces_are_not_taken_over() {
        assert!(
            is_request_id("a.B-9_") && is_request_id(&"x".repeat(64)) && is_request_id(&new_request_id())
        );
        for bad in ["", "a b", "a\"b", "é", "a/b", &"x".repeat(65)] {
            assert!(!is_request_id(bad), "{bad:?}");
        }
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in ["", "00-0-0-0", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "-----"] {
            assert!(!is_traceparent(bad), "{bad:?}");
        }
    }

    async fn failing() -> Result<HttpResponse, ApiError> {
        assert_eq!(RequestContext::current().request_id, "abc");
        Err(ApiError::internal("boom"))
    }

    #[actix_web::test]
    async fn the_answer_carries_the_request_id_and_the_callers_language() {
        let app =
            wire::init_service(App::new().wrap(from_fn(request_context)).route("/x", web::get().to(failing)))
                .await;
        let req = wire::TestRequest::get()
            .uri("/x")
            .insert_header(("x-request-id", "abc"))
            .insert_header(("accept-language", "en"));
        let answer = wire::call_service(&app, req.to_request()).await;
        assert_eq!(answer.status().as_u16(), 500);
        assert_eq!(answer.headers().get("x-request-id").expect("an id"), "abc");
        let body: Value = wire::read_body_json(answer).await;
        assert_eq!(body["error"], "internal error (request id abc)");
        let odd = wire::TestRequest::get().uri("/y").insert_header(("x-request-id", "a b")).to_request();
        let answer = wire::call_service(&app, odd).await;
        assert_eq!(answer.headers().get("x-request-id").expect("an id").len(), 32);
    }

    #[actix_web::test]
    async fn errors_of_inner_middleware_and_of_renamed_entries_keep_the_dialect() {
        let app = wire::init_service(
            App::new()
                .service(
                    web::resource("/shop.php")
                        .wrap(from_fn(|_: ServiceRequest, _: Next<actix_web::body::BoxBody>| async {
                            Err::<ServiceResponse, Error>(ApiError::refused("不行", "no").into())
                        }))
                        .wrap(from_fn(|req, next| speak(Dialect::Supplier, req, next)))
                        .to(HttpResponse::Ok),
                )
                .wrap(from_fn(request_context)),
        )
        .await;
        let req = wire::TestRequest::get().uri("/shop.php").to_request();
        let error = wire::try_call_service(&app, req).await.expect_err("middleware errors stay errors");
        let response = error.error_response();
        assert_eq!(response.status().as_u16(), 200);
        assert!(response.headers().contains_key("x-request-id"));
        let body = actix_web::body::to_bytes(response.into_body()).await.expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["status"], &body["msg"]), (&Value::Bool(false), &Value::from("不行")));
    }
}

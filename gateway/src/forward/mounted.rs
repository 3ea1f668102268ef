//! Handing a request to a service in this process: the same headers, the same signed identity, the same limits
//! as between processes, and no hop.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::BoxBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::HeaderValue,
    middleware::Next,
};
use contracts::routes::Route;
use platform::http::{ApiError, BodyLimit, RequestContext, context};

use super::{
    Signed,
    failure::Failure,
    headers::{INTERNAL_TOKEN, REQUEST_ID, TRACEPARENT, rewrite},
};
use crate::limits::{Announced, BesideUnread, BodyWatch, WatchedBody};

/// Added to a route's time for the answer while its body still has to arrive.
const UPLOAD_SECONDS: u64 = 300;

/// Runs the service's handler.
///
/// # Errors
/// Rendered already, in the request's dialect and language.
pub(crate) async fn call(
    mut req: ServiceRequest,
    next: Next<BoxBody>,
    route: &Route,
    signed: &Signed<'_>,
    request: RequestContext,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let own = [
        (&INTERNAL_TOKEN, value(signed.token)),
        (&REQUEST_ID, value(signed.request_id)),
        (&TRACEPARENT, signed.traceparent.and_then(value)),
    ];
    let uploads = matches!(Announced::of(&req), Announced::Chunked | Announced::Bytes(1..));
    rewrite(req.headers_mut(), route.access, own);
    req.extensions_mut().insert(BodyLimit(route.body_limit_bytes));
    let watch = BodyWatch::default();
    if uploads {
        let body = WatchedBody::new(req.take_payload(), route.body_limit_bytes, watch.clone());
        req.set_payload(Payload::Stream { payload: Box::pin(body) });
    }
    let seconds = route.timeout_seconds + if uploads { UPLOAD_SECONDS } else { 0 };
    let called = context::serve(request.clone(), req, next);
    let answer = match tokio::time::timeout(Duration::from_secs(seconds), called).await {
        Ok(answer) => answer,
        Err(_) => Err(rendered(Failure::TooLate(seconds).into(), &request).await),
    };
    let answer = match watch.fault() {
        // What the body was guilty of is the answer, whatever the handler made of it.
        Some(fault) => instead(answer, rendered_response(fault.into(), &request).await),
        None => answer,
    };
    match watch.take_unread() {
        Some(unread) => answer.map(|r| r.map_body(|_, body| BesideUnread::hold(body, unread))),
        None => answer,
    }
}

fn instead(
    answer: Result<ServiceResponse<BoxBody>, Error>,
    response: HttpResponse,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match answer {
        Ok(answered) => Ok(answered.into_response(response)),
        Err(e) => Err(InternalError::from_response(e, response).into()),
    }
}

/// `error` as an actix error that renders as `request` wants it.
async fn rendered(error: ApiError, request: &RequestContext) -> Error {
    let chain = error.chain();
    tracing::warn!(request_id = request.request_id, "request failed: {chain}");
    InternalError::from_response(chain, rendered_response(error, request).await).into()
}

async fn rendered_response(error: ApiError, request: &RequestContext) -> HttpResponse {
    request.clone().scope(async move { error.error_response() }).await
}

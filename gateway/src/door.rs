//! The one way in. Every request takes these steps in this order, and no step is skipped for any of them:
//! request id → client address → canonical path → route or page (404, 405) → announced size (413) → requests a
//! second (429) → token and permission (401, 403, 503) → allow-listed headers and a signed internal token → service.
//!
//! What is neither in the route table nor a page of the gateway's own never reaches a service, mounted or not.

use std::{rc::Rc, sync::Arc};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::BoxBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
    },
    middleware::Next,
};
use contracts::{
    identity::InternalClaims,
    routes::{Dialect, Route},
};
use platform::{
    http::{ApiError, Language, RequestContext, caller::INTERNAL_TOKEN_SECONDS},
    telemetry::{current_traceparent, parent_from},
};
use tracing::Instrument;

use crate::{
    access::{AccessCheck, TokenCache},
    app::Gate,
    forward::{
        Signed, Upstreams, beside_unread,
        headers::{self, PageKind, REQUEST_ID},
        mounted,
    },
    health::Probe,
    limits::{self, Announced, Client},
    observe::{Observer, RequestIds, Visit},
    openapi::DOCUMENT_PATH,
    routes::{Found, path::is_canonical},
};

/// What one worker needs at the door.
pub(crate) struct Door {
    gate: Arc<Gate>,
    tokens: TokenCache,
    /// `None`: the services are mounted behind this door.
    upstreams: Option<Upstreams>,
    observer: Observer,
    ids: RequestIds,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The route at this index.
    Route(usize),
    Page(Page),
}

/// The gateway's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Probe(Probe),
    Document,
    Docs,
    Console,
}

impl Page {
    fn at(path: &str) -> Option<Self> {
        match path {
            DOCUMENT_PATH => Some(Self::Document),
            "/docs" => Some(Self::Docs),
            _ if path.starts_with("/docs/") => Some(Self::Docs),
            _ if path == "/api" || path.starts_with("/api/") => None,
            _ => Some(Probe::at(path).map_or(Self::Console, Self::Probe)),
        }
    }
}

/// The middleware of the gateway's app.
pub(crate) async fn pass(
    door: Rc<Door>,
    mut req: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    spell_method(req.head_mut());
    let client = Client::of(req.peer_addr().map(|a| a.ip()), req.headers(), &door.gate.trusted);
    let mut visit = Visit::begin(&req, &door.ids, client);
    let answer = match door.locate(&req, &mut visit) {
        Ok(Target::Route(index)) => match door.span(&req, &visit, index) {
            None => door.route(index, req, next, &mut visit).await,
            Some(span) => door.route(index, req, next, &mut visit).instrument(span).await,
        },
        Ok(Target::Page(page)) => Ok(door.page(page, req, &mut visit).await),
        Err(refusal) => Ok(door.refuse(req, refusal, &visit).await),
    };
    door.finish(answer, &visit)
}

/// `Get` is GET, as the seed's own command for a white-list entry writes it. From here on nobody sees another spelling.
fn spell_method(head: &mut RequestHead) {
    let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    if known.contains(&head.method) {
        return;
    }
    let meant = known.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(head.method.as_str()));
    if let Some(method) = meant {
        head.method = method;
    }
}

/// An error, and the `Allow` header of a 405.
struct Refusal(ApiError, Option<String>);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error, None)
    }
}

impl Door {
    /// Called in the worker that will use it.
    pub fn new(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Arc::clone(gate),
            tokens: TokenCache::default(),
            upstreams: (!gate.upstreams.is_empty()).then(|| Upstreams::new(&gate.upstreams)),
            observer: Observer::new(gate.table.routes()),
            ids: RequestIds::new(),
        }
    }

    /// Finds what the request is for, by its head alone.
    fn locate(&self, req: &ServiceRequest, visit: &mut Visit) -> Result<Target, Refusal> {
        let path = req.path();
        // People type it; it holds nothing and leads to the page.
        if !is_canonical(path) && path != "/docs/" {
            return Err(nothing_here().into());
        }
        limits::head(req)?;
        match self.gate.table.find(req.method(), path) {
            Found::Route(index) => {
                let route = self.gate.table.routes()[index];
                (visit.route, visit.dialect) = (Some(index), route.dialect);
                Announced::of(req).check(route)?;
                Ok(Target::Route(index))
            }
            Found::WrongMethod(methods) => {
                Err(Refusal(ApiError::method_not_allowed(), Some(methods.allow())))
            }
            Found::Nothing => {
                let page = Page::at(path).ok_or_else(nothing_here)?;
                match *req.method() {
                    Method::GET | Method::HEAD => Ok(Target::Page(page)),
                    _ if page == Page::Console => Err(nothing_here().into()),
                    _ => Err(Refusal(ApiError::method_not_allowed(), Some("GET, HEAD".into()))),
                }
            }
        }
    }

    async fn route(
        &self,
        index: usize,
        mut req: ServiceRequest,
        next: Next<BoxBody>,
        visit: &mut Visit,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let route = self.gate.table.routes()[index];
        let counted = self.count(route, &req, visit).await;
        let token = match counted.and_then(|()| self.authorize(index, &req, visit)) {
            Ok(token) => token,
            Err(e) => return Ok(self.refuse(req, e.into(), visit).await),
        };
        let traceparent = if self.gate.traces {
            current_traceparent()
        } else {
            headers::traceparent(req.headers()).map(str::to_owned)
        };
        let signed = Signed { token: &token, request_id: &visit.id, traceparent: traceparent.as_deref() };
        let Some(upstreams) = &self.upstreams else {
            let context =
                RequestContext { traceparent: traceparent.clone(), ..context(req.headers(), visit) };
            return mounted::call(req, next, route, &signed, context).await;
        };
        match upstreams.forward(&mut req, route, &signed).await {
            Ok(response) => Ok(req.into_response(response)),
            Err(failure) => Ok(self.refuse(req, Refusal(failure.into(), None), visit).await),
        }
    }

    /// Counts the request of this address, and what it may have without a token.
    async fn count(&self, route: &Route, req: &ServiceRequest, visit: &Visit) -> Result<(), ApiError> {
        let gate = &self.gate;
        limits::rate(&gate.quota, gate.requests_per_second, &visit.client).await?;
        if self.check().passes_unsigned(route, req.headers()) {
            limits::unsigned(&gate.quota, &visit.client).await?;
        }
        Ok(())
    }

    fn check(&self) -> AccessCheck<'_> {
        let gate = &self.gate;
        AccessCheck {
            keys: &gate.keys,
            cache: &self.tokens,
            policy: &gate.policy,
            clock: &gate.clock,
            opened: gate.anonymous_upload_token,
        }
    }

    /// Checks the caller and signs who it is, for this request alone.
    fn authorize(&self, index: usize, req: &ServiceRequest, visit: &mut Visit) -> Result<String, ApiError> {
        let gate = &self.gate;
        let route = gate.table.routes()[index];
        let caller = self.check().caller(route, index, req.headers())?;
        visit.account_id = caller.account_id;
        let claims = InternalClaims {
            caller,
            method: route.method.as_str().to_owned(),
            path: req.path().to_owned(),
            rid: visit.id.clone(),
            ip: visit.ip.clone(),
            exp: gate.clock.now_s() + INTERNAL_TOKEN_SECONDS,
        };
        gate.internal.sign(&claims).map_err(ApiError::internal)
    }

    async fn page(&self, page: Page, req: ServiceRequest, visit: &mut Visit) -> ServiceResponse<BoxBody> {
        let gate = &self.gate;
        let response = match page {
            Page::Probe(probe) if visit.client.is_near() => {
                visit.quiet = true;
                Some(gate.health.answer(probe, &gate.policy).await)
            }
            Page::Probe(_) => None,
            Page::Document => Some(gate.docs.document(req.request())),
            Page::Docs => gate.docs.page(req.request()),
            Page::Console => gate.console.answer(req.request()),
        };
        let Some(response) = response else { return self.refuse(req, nothing_here().into(), visit).await };
        if matches!(page, Page::Docs | Page::Console) {
            visit.kind = PageKind::App;
        }
        req.into_response(response)
    }

    /// Answers a request that goes no further.
    async fn refuse(
        &self,
        mut req: ServiceRequest,
        refusal: Refusal,
        visit: &Visit,
    ) -> ServiceResponse<BoxBody> {
        let Refusal(error, allow) = refusal;
        if error.is_server_error() {
            let chain = error.chain();
            tracing::warn!(
                request_id = visit.id,
                status = error.http_status().as_u16(),
                "request failed: {chain}"
            );
        }
        let status = error.http_status();
        let mut response = context(req.headers(), visit).scope(async { error.error_response() }).await;
        if status == StatusCode::UNAUTHORIZED && visit.dialect == Dialect::Admin {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = allow.and_then(|a| HeaderValue::from_str(&a).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        let response: HttpResponse = beside_unread(&mut req, response);
        req.into_response(response)
    }

    /// Adds what every answer carries, counts it and logs it.
    fn finish(
        &self,
        answer: Result<ServiceResponse<BoxBody>, Error>,
        visit: &Visit,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let dress = |headers: &mut HeaderMap| {
            headers::secure(headers, visit.kind);
            if let Ok(id) = HeaderValue::from_str(&visit.id) {
                headers.insert(REQUEST_ID.clone(), id);
            }
        };
        match answer {
            Ok(mut answered) => {
                dress(answered.headers_mut());
                self.gate.health.readiness.hang_up_when_stopping(answered.response_mut().head_mut());
                self.observer.answered(visit, answered.status());
                Ok(answered)
            }
            Err(e) => {
                let mut response = e.error_response();
                dress(response.headers_mut());
                self.observer.answered(visit, response.status());
                Err(InternalError::from_response(e, response).into())
            }
        }
    }

    /// A span for the request when spans are exported, or when a trace that others began must find its way into
    /// the events of a service in this process.
    fn span(&self, req: &ServiceRequest, visit: &Visit, index: usize) -> Option<tracing::Span> {
        let incoming = headers::traceparent(req.headers());
        let begun_by_others = incoming.is_some() && self.upstreams.is_none();
        if !self.gate.traces && !begun_by_others {
            return None;
        }
        let route = self.gate.table.routes()[index];
        let span = tracing::info_span!(
            "request",
            otel.name = route.name,
            otel.kind = "server",
            http.request.method = route.method.as_str(),
            http.route = route.path,
            request_id = visit.id,
        );
        if let Some(incoming) = incoming {
            parent_from(incoming, &span);
        }
        Some(span)
    }
}

/// What errors are rendered by.
fn context(headers: &HeaderMap, visit: &Visit) -> RequestContext {
    let accepted = headers.get(actix_web::http::header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    RequestContext {
        request_id: visit.id.clone(),
        language: accepted.map_or(Language::Zh, Language::preferred),
        dialect: visit.dialect,
        traceparent: None,
    }
}

fn nothing_here() -> ApiError {
    ApiError::not_found("资源不存在", "not found")
}

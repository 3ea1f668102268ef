//! The one place that wires this service.

use std::time::Duration;

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    inbox::InboxConsumer,
    lifecycle::Worker,
    service::{Shared, StartError},
};
use utoipa::OpenApi;

use crate::{
    accounts, audit,
    bootstrap::{self, Bootstrap},
    distributors, keys,
    migrations::Migrator,
    partners,
    password::Hasher,
    policy, roles, suppliers,
    throttle::Throttle,
    tokens,
};

/// What every handler and job of this service is given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub hasher: Hasher,
    pub signer: tokens::Signer,
    pub throttle: Throttle,
}

impl Ctx {
    /// # Errors
    /// No token key is set.
    pub fn new(platform: Platform) -> Result<Self, StartError> {
        let throttle = Throttle::new(platform.quota.clone(), platform.clock.clone(), &platform.settings.auth);
        Ok(Self {
            hasher: Hasher::default(),
            signer: tokens::Signer::new(&platform.settings)?,
            throttle,
            platform,
        })
    }
}

/// As [`build_with_bootstrap`], for a start whose admin password comes from the settings: a random one is lost.
///
/// # Errors
/// The database cannot be used; a setting is missing.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    build_with_bootstrap(shared).await.map(|(service, _)| service)
}

/// Builds the service: migrations, registry and first account, routes, consumer, jobs.
///
/// # Errors
/// The database cannot be used; a setting is missing.
pub async fn build_with_bootstrap(shared: &Shared) -> Result<(Service, Bootstrap), StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Auth).await?;
    let ctx = Ctx::new(platform)?;
    let bootstrap = bootstrap::run(&ctx).await?;
    let platform = &ctx.platform;
    let usage = InboxConsumer::new(
        "auth.key_usage",
        platform.db.clone(),
        platform.clock.clone(),
        keys::events::KeyUsage,
    );
    let entries = InboxConsumer::new(
        "auth.audit",
        platform.db.clone(),
        platform.clock.clone(),
        audit::events::Entries(platform.ids.clone()),
    );
    let workers = workers(&ctx);
    let data = web::Data::new(ctx.clone());
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        tokens::http::routes(cfg);
        accounts::http::routes(cfg);
        roles::http::routes(cfg);
        policy::http::routes(cfg);
        partners::http::routes(cfg);
        distributors::http::routes(cfg);
        suppliers::http::routes(cfg);
        keys::http_partner::routes(cfg);
        keys::http_supplier::routes(cfg);
        audit::http::routes(cfg);
    };
    let service = Service::new(platform, ApiDoc::openapi(), configure, vec![usage, entries], workers);
    Ok((service, bootstrap))
}

fn workers(ctx: &Ctx) -> Vec<Worker> {
    let (purge, audit) = (ctx.clone(), ctx.platform.clone());
    vec![
        Worker::job("auth-audit-retention", Duration::from_secs(3600), None, move || {
            let platform = audit.clone();
            let keep_days = platform.settings.auth.audit_keep_days;
            async move { audit::jobs::forget(&platform.db, &platform.clock, keep_days).await }
        }),
        Worker::job("auth-revoked-tokens", Duration::from_secs(600), None, move || {
            let ctx = purge.clone();
            async move { tokens::jobs::purge(&ctx).await }
        }),
        platform::rewrap::worker(&ctx.platform, keys::sealed::SEALED),
    ]
}

/// This service's part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(
    tokens::http::token,
    tokens::http::logout,
    tokens::http::revoke,
    tokens::http::me,
    tokens::http::change_password,
    accounts::http::list,
    accounts::http::add,
    accounts::http::info,
    accounts::http::modify,
    accounts::http::remove,
    roles::http::list,
    roles::http::add,
    roles::http::info,
    roles::http::modify,
    roles::http::remove,
    policy::http::list,
    policy::http::add,
    policy::http::remove,
    partners::http::list,
    partners::http::add,
    partners::http::info,
    partners::http::modify,
    partners::http::remove,
    distributors::http::list,
    distributors::http::add,
    distributors::http::info,
    distributors::http::modify,
    distributors::http::remove,
    suppliers::http::list,
    suppliers::http::add,
    suppliers::http::info,
    suppliers::http::modify,
    suppliers::http::remove,
    keys::http_partner::list,
    keys::http_partner::add,
    keys::http_partner::modify,
    keys::http_partner::rotate,
    keys::http_partner::revoke,
    keys::http_supplier::list,
    keys::http_supplier::add,
    keys::http_supplier::modify,
    keys::http_supplier::rotate,
    keys::http_supplier::revoke,
    audit::http::list,
))]
pub struct ApiDoc;

//! The one place that wires this service.

use std::sync::Arc;

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    inbox::InboxConsumer,
    service::{Shared, StartError},
};
use reqwest::dns::Resolve;
use utoipa::OpenApi;

use crate::{
    Migrator,
    changes::events::OrderChanges,
    ctx::Ctx,
    delivery::{self, engine::Engine, guard::SystemNames},
    partners::events::PartnerChanges,
    subscriptions,
};

#[derive(OpenApi)]
#[openapi(info(title = "sync-service", description = "Partner sync and callbacks"))]
struct ApiDoc;

/// Builds the service: its database, routes, consumers and workers.
///
/// # Errors
/// What stops it from starting, in one sentence.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    build_with(shared, Arc::new(SystemNames)).await.map(|(service, _)| service)
}

/// As [`build`], with `names` in place of the system's resolver; also answers what the handlers get, so that a
/// test can run the delivery engine by hand.
///
/// # Errors
/// As [`build`].
pub async fn build_with(shared: &Shared, names: Arc<dyn Resolve>) -> Result<(Service, Ctx), StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Sync).await?;
    let engine = Engine::new(&platform, names)?;
    engine
        .recover()
        .await
        .map_err(|source| StartError::Database { service: ServiceName::Sync.as_str(), source })?;
    let ctx = Ctx { platform: platform.clone(), engine: engine.clone() };
    let (db, clock) = (&platform.db, &platform.clock);
    let consumers = vec![
        InboxConsumer::new("sync.orders", db.clone(), clock.clone(), OrderChanges::new(ctx.clone())),
        InboxConsumer::new("sync.partners", db.clone(), clock.clone(), PartnerChanges),
    ];
    let mut doc = ApiDoc::openapi();
    doc.merge(subscriptions::http::Doc::openapi());
    doc.merge(delivery::http::Doc::openapi());
    let workers = vec![engine.worker()];
    let data = web::Data::new(ctx.clone());
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        subscriptions::http::routes(cfg);
        delivery::http::routes(cfg);
    };
    Ok((Service::new(&platform, doc, configure, consumers, workers), ctx))
}

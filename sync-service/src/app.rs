//! The one place that wires this service.

use std::{sync::Arc, time::Duration};

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    db::{Plans, lease, partitions},
    inbox::InboxConsumer,
    lifecycle::Worker,
    service::{Shared, StartError},
    settings::Settings,
};
use reqwest::dns::Resolve;
use utoipa::OpenApi;

use crate::{
    Migrator,
    changes::{self, events::OrderChanges},
    ctx::Ctx,
    delivery::{
        self,
        engine::Engine,
        guard::{Policy, SystemNames},
        observe::Gauges,
    },
    entities, order_callbacks,
    partner_sync::{self, access::Access},
    partners::events::{PartnerChanges, TokenRevocations},
    retention, statements, subscriptions,
};

#[derive(OpenApi)]
#[openapi(info(title = "sync-service", description = "Partner sync and callbacks"))]
struct ApiDoc;

/// What this service asks of the settings, one sentence for each problem; nothing is opened or reached.
pub fn check(settings: &Settings) -> Vec<String> {
    Policy::new(&settings.callback_allow, &settings.callback.ports).err().into_iter().collect()
}

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
    let platform = Platform::start_with::<Migrator>(shared, ServiceName::Sync, Plans::ByKey).await?;
    partitions::at_start(&platform.db, &platform.clock, &entities::MONTHLY).await;
    let engine = Engine::new(&platform, names).await?;
    engine
        .recover()
        .await
        .map_err(|source| StartError::Database { service: ServiceName::Sync.as_str(), source })?;
    let access = Access::new(&platform.settings, &platform.clock);
    let ctx = Ctx { platform: platform.clone(), engine, access };
    let data = web::Data::new(ctx.clone());
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        // Longer paths first where one could be read as the other's parameter.
        delivery::http_actions::routes(cfg);
        delivery::http::routes(cfg);
        subscriptions::http_actions::routes(cfg);
        subscriptions::http::routes(cfg);
        changes::http::routes(cfg);
        statements::http::routes(cfg);
        order_callbacks::http::routes(cfg);
        order_callbacks::http_internal::routes(cfg);
        partner_sync::http::routes(cfg);
    };
    let service = Service::new(&platform, openapi(), configure, consumers(&ctx), workers(&ctx));
    Ok((service, ctx))
}

fn openapi() -> utoipa::openapi::OpenApi {
    let mut doc = ApiDoc::openapi();
    for part in [
        subscriptions::http::Doc::openapi(),
        subscriptions::http_actions::Doc::openapi(),
        delivery::http::Doc::openapi(),
        delivery::http_actions::Doc::openapi(),
        changes::http::Doc::openapi(),
        statements::http::Doc::openapi(),
        order_callbacks::http::Doc::openapi(),
        partner_sync::http::Doc::openapi(),
    ] {
        doc.merge(part);
    }
    doc
}

fn consumers(ctx: &Ctx) -> Vec<InboxConsumer> {
    let (db, clock) = (&ctx.platform.db, &ctx.platform.clock);
    vec![
        orders_consumer(ctx),
        InboxConsumer::new("sync.partners", db.clone(), clock.clone(), PartnerChanges { ctx: ctx.clone() }),
        InboxConsumer::new("sync.tokens", db.clone(), clock.clone(), TokenRevocations { ctx: ctx.clone() }),
    ]
}

/// The consumer of `order.state_changed`. Several at once, as when a replica takes over from one that still works,
/// write one feed all the same.
pub fn orders_consumer(ctx: &Ctx) -> InboxConsumer {
    let (db, clock) = (ctx.platform.db.clone(), ctx.platform.clock.clone());
    InboxConsumer::new("sync.orders", db, clock, OrderChanges::new(ctx.clone()))
}

fn workers(ctx: &Ctx) -> Vec<Worker> {
    let (watch, mend, forget, measure) = (ctx.clone(), ctx.clone(), ctx.clone(), ctx.clone());
    let gauges = Arc::new(tokio::sync::Mutex::new(Gauges::default()));
    let holder = lease::Holder::new("sync-retention");
    vec![
        ctx.engine.worker(),
        Worker::job("callback-watch", Duration::from_secs(60), None, move || {
            let ctx = watch.clone();
            async move { delivery::jobs::watch(&ctx).await }
        }),
        Worker::job("callback-mend", Duration::from_secs(60), None, move || {
            let ctx = mend.clone();
            async move { delivery::jobs::mend(&ctx).await }
        }),
        Worker::job("callback-gauges", Duration::from_secs(60), None, move || {
            let (ctx, gauges) = (measure.clone(), Arc::clone(&gauges));
            async move { delivery::jobs::measure(&ctx, &mut *gauges.lock().await).await }
        }),
        Worker::job("callback-retention", Duration::from_secs(3600), None, move || {
            let (ctx, holder) = (forget.clone(), holder.clone());
            async move { retention::jobs::run_once(&ctx, &holder).await }
        }),
        // Nothing is detached: `retention` drops what is over.
        partitions::worker(&ctx.platform.db, &ctx.platform.clock, &entities::MONTHLY, 0),
        platform::rewrap::worker(&ctx.platform, crate::SEALED),
    ]
}

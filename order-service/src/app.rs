//! Wires the service: the one place that knows every feature.

use std::sync::Arc;

use actix_web::web;
use contracts::{callbacks::CallbackLog, routes::ServiceName};
use platform::{
    Platform, Service,
    db::partitions,
    inbox::InboxConsumer,
    service::{Shared, StartError},
    settings::Settings,
};
use utoipa::OpenApi;

use crate::{
    admin_orders, admin_orders::pages::Pages, customers, entities, goods, intake, invoices,
    lifecycle::Lifecycle, migrations::Migrator, numbers::Numbers, partners, readings, requests, stats,
    stats::Stats, supplier, timeline,
};

/// What every handler and job of this service is given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub lifecycle: Lifecycle,
    pub numbers: Numbers,
    pub pages: Pages,
    pub stats: Stats,
    /// sync-service's part of the timeline.
    pub callbacks: Arc<dyn CallbackLog>,
}

#[derive(OpenApi)]
#[openapi(paths(
    goods::http::list,
    goods::http::add,
    goods::http::info,
    goods::http::modify,
    goods::http::delete,
    supplier::http_preview::preview,
    customers::http::add,
    customers::http::modify,
    customers::http::total,
    customers::http_list::list,
    intake::http::place,
    intake::http::pay,
    intake::http::cancel,
    requests::http::ask,
    invoices::http::save,
    admin_orders::http::info,
    admin_orders::http_list::list,
    admin_orders::http_list::of_customer,
    timeline::http::timeline,
    stats::http::overview,
    supplier::http::entry_get,
    supplier::http::entry_post,
    supplier::http_clean::list,
    supplier::http_clean::claim,
    supplier::http_clean::ack,
    supplier::http_clean::give_back,
    supplier::http_clean::edit,
    supplier::http_clean::refund,
))]
struct ApiDoc;

/// What this service asks of the settings, one sentence for each problem; nothing is opened or reached.
pub fn check(settings: &Settings) -> Vec<String> {
    let sync = ServiceName::Sync;
    let named = settings.gateway.upstreams.contains_key(sync.as_str());
    named.then(|| settings.gateway.addresses(sync).err()).flatten().into_iter().collect()
}

/// Builds order-service: database, routes, consumers, jobs. It asks the sync-service that the settings name for
/// callbacks.
///
/// # Errors
/// The database cannot be used, the internal key is missing, or the address of sync-service is wrong.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    build_with(shared, timeline::remote::log(shared)?).await
}

/// As [`build`], with a sync-service at hand.
///
/// # Errors
/// As [`build`].
pub async fn build_with(shared: &Shared, callbacks: Arc<dyn CallbackLog>) -> Result<Service, StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Order).await?;
    let (db, clock) = (&platform.db, &platform.clock);
    partitions::at_start(db, clock, &entities::MONTHLY).await;
    let secret = shared.settings.keys.internal.as_ref();
    let secret = secret.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
    let pages = Pages::new(platform.db.clone(), platform.clock.clone());
    let ctx = Ctx {
        lifecycle: Lifecycle::new(platform.outbox.clone(), platform.clock.clone()),
        numbers: Numbers::new(secret),
        stats: Stats::new(platform.clone(), pages.clone()),
        pages,
        callbacks,
        platform: platform.clone(),
    };
    let reports = goods::events::Reports { clock: clock.clone() };
    let partners = partners::events::Partners { clock: clock.clone() };
    let white_list = customers::events::WhiteList { platform: platform.clone() };
    let read = readings::events::Readings { lifecycle: ctx.lifecycle.clone() };
    let consumers = vec![
        InboxConsumer::new("order.reports", db.clone(), clock.clone(), reports),
        InboxConsumer::new("order.keys", db.clone(), clock.clone(), supplier::events::Keys),
        InboxConsumer::new("order.partners", db.clone(), clock.clone(), partners),
        InboxConsumer::new("order.readings", db.clone(), clock.clone(), read),
        InboxConsumer::new("order.white_list", db.clone(), clock.clone(), white_list),
    ];
    let mut workers = supplier::jobs::workers(&ctx);
    workers.push(intake::jobs::timeouts(ctx.clone()));
    workers.push(partitions::worker(db, clock, &entities::MONTHLY, shared.settings.database.keep_months));
    let data = web::Data::new(ctx);
    let entry = shared.settings.supplier.path();
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        goods::http::routes(cfg);
        customers::http::routes(cfg);
        customers::http_list::routes(cfg);
        intake::http::routes(cfg);
        requests::http::routes(cfg);
        invoices::http::routes(cfg);
        admin_orders::http::routes(cfg);
        admin_orders::http_list::routes(cfg);
        timeline::http::routes(cfg);
        stats::http::routes(cfg);
        supplier::http::routes(cfg, &entry);
        supplier::http_clean::routes(cfg);
        supplier::http_preview::routes(cfg);
    };
    Ok(Service::new(&platform, ApiDoc::openapi(), configure, consumers, workers))
}

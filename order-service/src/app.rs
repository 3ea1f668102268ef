//! Wires the service: the one place that knows every feature.

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    inbox::InboxConsumer,
    service::{Shared, StartError},
};
use utoipa::OpenApi;

use crate::{
    admin_orders, customers, goods, intake, intake::Numbers, lifecycle::Lifecycle, migrations::Migrator,
    supplier,
};

/// What every handler and job of this service is given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub lifecycle: Lifecycle,
    pub numbers: Numbers,
}

#[derive(OpenApi)]
#[openapi(paths(
    goods::http::list,
    goods::http::add,
    goods::http::info,
    goods::http::modify,
    customers::http::add,
    intake::http::place,
    intake::http::pay,
    intake::http::cancel,
    admin_orders::http::info,
    supplier::http::entry_get,
    supplier::http::entry_post,
))]
struct ApiDoc;

/// Builds order-service: database, routes, consumers, jobs.
///
/// # Errors
/// The database cannot be used, or the internal key is missing.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Order).await?;
    let secret = shared.settings.keys.internal.as_ref();
    let secret = secret.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
    let ctx = Ctx {
        lifecycle: Lifecycle::new(platform.outbox.clone(), platform.clock.clone()),
        numbers: Numbers::new(secret),
        platform: platform.clone(),
    };
    let (db, clock) = (&platform.db, &platform.clock);
    let reports = goods::events::Reports { clock: clock.clone() };
    let consumers = vec![
        InboxConsumer::new("order.reports", db.clone(), clock.clone(), reports),
        InboxConsumer::new("order.keys", db.clone(), clock.clone(), supplier::events::Keys),
    ];
    let workers = vec![intake::jobs::timeouts(ctx.clone())];
    let data = web::Data::new(ctx);
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        goods::http::routes(cfg);
        customers::http::routes(cfg);
        intake::http::routes(cfg);
        admin_orders::http::routes(cfg);
        supplier::http::routes(cfg);
    };
    Ok(Service::new(&platform, ApiDoc::openapi(), configure, consumers, workers))
}

//! Wires report-service: the one place that knows all features.

use std::sync::Arc;

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    inbox::InboxConsumer,
    service::{Shared, StartError},
};
use tokio::sync::{Notify, Semaphore};
use utoipa::OpenApi;

use crate::{
    migrations::Migrator,
    readings, reports,
    storage::{self, Storage},
    subscribers, whitelist, workbook,
};

/// What handlers and jobs are given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub storage: Storage,
    /// Wakes the importer.
    pub imports: Arc<Notify>,
    /// Wakes the teller of what imports brought.
    pub untold: Arc<Notify>,
    /// Workbooks read at a time.
    pub readers: Arc<Semaphore>,
    /// Who may write rows of a workbook while it is read: one at a time, for that takes a connection beside those that
    /// stage.
    pub front: Arc<Semaphore>,
    /// Workbooks written at a time.
    pub writers: Arc<Semaphore>,
}

/// Workbooks read, and as many written, at a time in one process.
const WORKBOOKS: usize = 2;

#[derive(OpenApi)]
#[openapi(
    info(title = "Baodan report-service"),
    paths(
        reports::http::list,
        reports::http::add,
        reports::http::info,
        reports::http::modify,
        reports::http::delete,
        whitelist::http::list,
        whitelist::http::add,
        whitelist::http::info,
        whitelist::http::edit,
        whitelist::http::delete,
        workbook::http::import,
        workbook::http::export,
        workbook::http::imports,
        workbook::http::import_info,
        workbook::http::import_undo,
        workbook::http::import_errors,
        workbook::http::example,
        workbook::http::convert,
        subscribers::http::list,
        readings::http::read,
        storage::http::download_url,
        storage::http::token,
        storage::http::copy_file,
        storage::http::copy_file_post,
        storage::http_local::upload,
        storage::http_local::public,
        storage::http_local::private,
    )
)]
struct ApiDoc;

/// Builds the service from what the process shares.
///
/// # Errors
/// When the database cannot be used.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Report).await?;
    let ctx = Ctx {
        storage: Storage::new(&shared.settings)?,
        imports: Arc::default(),
        untold: Arc::default(),
        readers: Arc::new(Semaphore::new(WORKBOOKS)),
        front: Arc::new(Semaphore::new(1)),
        writers: Arc::new(Semaphore::new(WORKBOOKS)),
        platform,
    };
    let data = web::Data::new(ctx.clone());
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        storage::http::routes(cfg);
        storage::http_local::routes(cfg);
        reports::http::routes(cfg);
        whitelist::http::routes(cfg);
        subscribers::http::routes(cfg);
        readings::http::routes(cfg);
        workbook::http::routes(cfg);
    };
    let (db, clock) = (&ctx.platform.db, &ctx.platform.clock);
    let consumers = vec![
        InboxConsumer::new(
            subscribers::events::ORDERS,
            db.clone(),
            clock.clone(),
            subscribers::events::Orders,
        ),
        InboxConsumer::new(
            subscribers::events::CUSTOMERS,
            db.clone(),
            clock.clone(),
            subscribers::events::Customers,
        ),
    ];
    let workers = vec![
        reports::jobs::publisher(&ctx),
        workbook::jobs::importer(&ctx),
        workbook::jobs::teller(&ctx),
        workbook::jobs::cleaner(&ctx),
    ];
    Ok(Service::new(&ctx.platform, ApiDoc::openapi(), configure, consumers, workers))
}

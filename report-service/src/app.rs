//! Wires report-service: the one place that knows all features.

use actix_web::web;
use contracts::routes::ServiceName;
use platform::{
    Platform, Service,
    service::{Shared, StartError},
};
use utoipa::OpenApi;

use crate::{migrations::Migrator, reports, storage::Storage, whitelist};

/// What handlers and jobs are given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub storage: Storage,
}

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
    )
)]
struct ApiDoc;

/// Builds the service from what the process shares.
///
/// # Errors
/// When the database cannot be used.
pub async fn build(shared: &Shared) -> Result<Service, StartError> {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Report).await?;
    let ctx = Ctx { storage: Storage::new(&shared.settings), platform };
    let data = web::Data::new(ctx.clone());
    let configure = move |cfg: &mut web::ServiceConfig| {
        cfg.app_data(data.clone());
        reports::http::routes(cfg);
        whitelist::http::routes(cfg);
    };
    let workers = vec![reports::jobs::publisher(&ctx)];
    Ok(Service::new(&ctx.platform, ApiDoc::openapi(), configure, Vec::new(), workers))
}

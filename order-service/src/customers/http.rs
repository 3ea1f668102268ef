use actix_web::web;
use platform::{
    audit::Who,
    http::{ApiError, Body, caller::Identity},
};

use super::service::{self, NewCustomer};
use crate::{
    app::Ctx,
    wire::{Data, Id},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/customer", web::post().to(add));
}

/// New customer. The same mobile again: 400 status 2 with the id under `data`.
#[utoipa::path(post, path = "/api/customer", operation_id = "CUSTOMER_ADD", tag = "customers",
    request_body = NewCustomer,
    responses((status = 200, body = Data<Id>), (status = 400, description = "missing, wrong, or known already")))]
pub async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<NewCustomer>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    let id = service::add(&ctx, &Who::from(&identity), &body).await?;
    Ok(web::Json(Data::of(Id { id })))
}

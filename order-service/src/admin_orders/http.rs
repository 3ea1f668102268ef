use actix_web::web;
use platform::http::{ApiError, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rows::{AdminOrderInfo, InvoiceInfo},
    store,
};
use crate::{
    app::Ctx,
    invoices,
    wire::{self, OrderNumber},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order/{number}", web::get().to(info));
}

/// 23: the result stands under `date`, and the page figures are 1.
#[derive(Debug, Serialize, ToSchema)]
pub struct OneOrder {
    pub status: u16,
    pub current_page: u64,
    pub last_page: u64,
    pub total: u64,
    #[serde(rename = "date")]
    pub order: AdminOrderInfo,
}

/// One order with its invoice.
#[utoipa::path(get, path = "/api/order/{number}", operation_id = "Payment_Order_Info", tag = "orders",
    params(("number" = String, Path)),
    responses((status = 200, body = OneOrder), (status = 404, description = "no such order")))]
pub async fn info(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    number: web::Path<OrderNumber>,
) -> Result<web::Json<OneOrder>, ApiError> {
    let order = store::by_number(ctx.platform.db.conn(), &number).await?.ok_or_else(wire::no_such_order)?;
    let invoice = invoices::find(ctx.platform.db.conn(), order.id).await?;
    let invoice_info = invoice.map(InvoiceInfo::from).unwrap_or_default();
    let order = AdminOrderInfo { order: order.into(), invoice_info };
    Ok(web::Json(OneOrder { status: 0, current_page: 1, last_page: 1, total: 1, order }))
}

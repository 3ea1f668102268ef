use actix_web::{HttpResponse, web};
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, IdempotencyKey, caller::Identity, idempotency},
};

use super::service;
use crate::{
    admin_orders::rows::InvoiceInfo,
    app::Ctx,
    entities::invoice,
    wire::{Data, OrderNumber},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order/{number}/invoice", web::post().to(save));
}

/// What an invoice says; the amount is settled with the order.
#[derive(Debug)]
pub struct InvoiceBody {
    pub row: invoice::Model,
    /// `None` = everything the order brought in.
    pub amount_fen: Option<i64>,
}

impl FromFields for InvoiceBody {
    fn read(f: &mut Fields<'_>) -> Self {
        let option = f.optional_int("invoice_option", 1..=2).unwrap_or(1);
        let is_vat = f.optional_int("is_vat", 0..=1).unwrap_or(0);
        let state = f.optional_int("state", 1..=2).unwrap_or(1);
        let title = f.required_text("invoice_title", 200);
        let tax_num = f.optional_text("invoice_tax_num", 50).unwrap_or_default();
        if option == 2 && tax_num.is_empty() {
            f.error("invoice_tax_num", "不能为空", "is required");
        }
        let amount_fen = f.optional_yuan("invoice_amount");
        let mut text = |name: &str| f.optional_text(name, 200).unwrap_or_default();
        // The seed spells it so; the right spelling is understood as well.
        let account = Some(text("vat_bank_accoun")).filter(|a| !a.is_empty());
        let row = invoice::Model {
            order_id: 0,
            state: state as i16,
            is_vat: is_vat as i16,
            invoice_option: option as i16,
            amount_fen: 0,
            invoice_title: title,
            invoice_tax_num: tax_num,
            vat_name: text("vat_name"),
            vat_mail_address: text("vat_mail_address"),
            vat_company_name: text("vat_company_name"),
            vat_company_address: text("vat_company_address"),
            vat_company_mobile: text("vat_company_mobile"),
            vat_telphone: text("vat_telphone"),
            vat_bank_name: text("vat_bank_name"),
            vat_bank_account: account.unwrap_or_else(|| text("vat_bank_account")),
            actor_name: String::new(),
            created_at: 0,
            updated_at: 0,
        };
        Self { row, amount_fen }
    }
}

/// Asks for an order's invoice, or records it (`state` 1 asked for, 2 issued). The answer is the
/// `invoice_info` the order shows from now on.
#[utoipa::path(post, path = "/api/order/{number}/invoice", operation_id = "ORDER_INVOICE", tag = "orders",
    params(("number" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = InvoiceInfo,
    responses((status = 200, body = Data<InvoiceInfo>), (status = 400, description = "not paid, too much, issued already"),
        (status = 404, description = "no such order")))]
pub async fn save(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    number: web::Path<OrderNumber>,
    body: Body<InvoiceBody>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("ORDER_INVOICE", &identity.caller);
    let (platform, who) = (&ctx.platform, Who::from(&identity));
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &body.sha256, async |tx| {
        let row = service::save(&ctx, tx, &who, &number, &body).await?;
        Ok::<_, service::InvoiceError>(Data::of(InvoiceInfo::from(row)))
    })
    .await
}

//! Readings on the wire (`spec/management-api.md`).

use actix_web::{HttpResponse, web};
use platform::http::{ApiError, Body, Fields, FromFields, IdempotencyKey, caller::Identity, idempotency};
use serde::Serialize;
use utoipa::ToSchema;

use super::service::{self, Reader};
use crate::{app::Ctx, wire::Data};

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/report/{report_id}/read").post(read));
}

/// Who reads.
#[derive(Debug, ToSchema)]
pub struct ReadBody {
    customer_id: i64,
    /// Needed only for somebody who stands in the white list and never ordered.
    mobile: Option<String>,
}

impl FromFields for ReadBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { customer_id: f.required_int("customer_id", 1..=i64::MAX), mobile: f.optional_mobile("mobile") }
    }
}

/// What is left.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadAnswer {
    /// Readings the customer has left in this report, white list and orders together.
    residue_count: i64,
}

/// Uses up one reading: of the white list, else of the oldest order. `Idempotency-Key` is honoured.
#[utoipa::path(
    post, path = "/api/report/{report_id}/read", operation_id = "REPORT_READ", tag = "readings",
    params(("report_id" = i64, Path)),
    request_body(content((ReadBody = "application/json"), (ReadBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<ReadAnswer>))
)]
pub async fn read(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    report_id: web::Path<i64>,
    body: Body<ReadBody>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("REPORT_READ", &identity.caller);
    let sha256 = body.sha256.clone();
    let (platform, body) = (&ctx.platform, body.into_inner());
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &sha256, async |tx| {
        let reader = Reader { customer_id: body.customer_id, mobile: body.mobile };
        let left = service::read(&ctx, tx, *report_id, reader).await;
        left.map(|residue_count| Data::new(ReadAnswer { residue_count }))
    })
    .await
}

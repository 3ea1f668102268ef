//! A report's customers on the wire.

use actix_web::web;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::store;
use crate::{
    app::Ctx,
    reports::{self, service::ReportError},
    wire::{Dated, Page, Paging},
};

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/report/{report_id}/customer").get(list));
}

/// `page` and `limit`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1.
    #[param(value_type = Option<i64>)]
    page: i64,
    /// 20 by default, 1000 at the most.
    #[param(value_type = Option<i64>)]
    limit: i64,
}

impl FromFields for PageQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let Paging { page, limit } = Paging::read(f);
        Self { page, limit }
    }
}

/// A customer of a report. Times are unix seconds, 0 = not known.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerRow {
    /// 0 for somebody who was put on the white list a moment ago.
    user_id: i64,
    nick_name: String,
    avatar: String,
    mobile: String,
    /// Readings used.
    occurred_count: i64,
    /// Readings left.
    residue_count: i64,
    /// The last paid order or white-list grant.
    last_payment_at: i64,
    last_login_at: i64,
    last_review_at: i64,
    regist_at: i64,
}

/// Everybody with a right to read the report, by order or white list.
#[utoipa::path(
    get, path = "/api/report/{report_id}/customer", operation_id = "GET_REPORT_CUSTOMER", tag = "subscribers",
    params(("report_id" = i64, Path), PageQuery), responses((status = 200, body = Dated<Page<CustomerRow>>))
)]
pub async fn list(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    report_id: web::Path<i64>,
    query: Query<PageQuery>,
) -> Result<web::Json<Dated<Page<CustomerRow>>>, ApiError> {
    let conn = ctx.platform.db.conn();
    if !reports::store::exists(conn, *report_id).await? {
        return Err(ReportError::NotFound.into());
    }
    let paging = Paging { page: query.page, limit: query.limit };
    let (total, persons) = store::list(conn, *report_id, paging).await?;
    let rows = persons.into_iter().map(|p| CustomerRow {
        user_id: p.user_id,
        nick_name: p.nick_name,
        avatar: p.avatar,
        mobile: p.mobile,
        occurred_count: p.used,
        residue_count: p.residue,
        last_payment_at: p.subscribed_at / 1000,
        last_login_at: p.last_login_at / 1000,
        last_review_at: p.last_review_at / 1000,
        regist_at: p.regist_at / 1000,
    });
    Ok(web::Json(Dated::new(Page::new(paging, total, rows.collect()))))
}

//! Reports on the wire.

use actix_web::{HttpResponse, web};
use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use platform::{
    audit::Who,
    clock::{self, day_start_ms, local_text},
    http::{
        ApiError, Body, BodyLimit, Fields, FromFields, IdempotencyKey, Query, caller::Identity, idempotency,
    },
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    http_bodies::{AddBody, MAX_TITLE, ModifyBody},
    rules::Status,
    service::{self, ReportError},
    store::{self, Filter},
};
use crate::{
    app::Ctx,
    entities::report::Model,
    wire::{Data, Dated, Id, Page, Paging, Yuan},
};

/// A body with a `white_list` of some thousand rows; the gateway has the same limit.
const WHITE_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/report").app_data(BodyLimit(WHITE_LIST_BYTES)).get(list).post(add))
        .service(
            web::resource("/api/report/{report_id}")
                .app_data(BodyLimit(WHITE_LIST_BYTES))
                .get(info)
                .put(modify)
                .delete(delete),
        );
}

/// Filters of the report list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Part of the title.
    title: Option<String>,
    type_id: Option<i64>,
    /// 0 waiting, 1 published, 2 withdrawn.
    status: Option<i64>,
    /// First day of the publish time.
    #[param(value_type = Option<String>, example = "2022-06-16")]
    start_ctime: Option<NaiveDate>,
    /// Last day of the publish time; today when only the first is given.
    #[param(value_type = Option<String>, example = "2022-06-22")]
    end_ctime: Option<NaiveDate>,
    /// From 1.
    #[param(value_type = Option<i64>)]
    page: i64,
    /// 20 by default, 1000 at the most.
    #[param(value_type = Option<i64>)]
    limit: i64,
}

impl FromFields for ListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let Paging { page, limit } = Paging::read(f);
        Self {
            title: f.optional_text("title", MAX_TITLE).filter(|t| !t.is_empty()),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            status: f.optional_int("status", 0..=2),
            start_ctime: f.optional_date("start_ctime"),
            end_ctime: f.optional_date("end_ctime"),
            page,
            limit,
        }
    }
}

impl ListQuery {
    /// Whole days, both ends inclusive, in the business time zone.
    fn into_filter(self, today: NaiveDate, tz: Tz) -> Filter {
        let last = self.end_ctime.or(self.start_ctime.map(|_| today));
        Filter {
            title: self.title,
            type_id: self.type_id,
            status: self.status.map(|s| Status::from_number(s).number()),
            published_from: self.start_ctime.map(|day| day_start_ms(day, tz)),
            published_before: last.map(|day| day_start_ms(day + TimeDelta::days(1), tz)),
        }
    }
}

/// A row of the report list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportRow {
    id: i64,
    /// Public URL.
    cover: String,
    title: String,
    price: Yuan,
    subscribe_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    status: i16,
    /// `YYYY-MM-DD HH:MM:SS`, "" when unset.
    publish_at: String,
    /// Reserved: "".
    type_name: String,
}

/// Reports, newest first.
#[utoipa::path(
    get, path = "/api/report", operation_id = "PAYMENT_REPORT_LIST", tag = "reports",
    params(ListQuery), responses((status = 200, body = Data<Page<ReportRow>>))
)]
pub async fn list(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    query: Query<ListQuery>,
) -> Result<web::Json<Data<Page<ReportRow>>>, ApiError> {
    let (query, tz) = (query.into_inner(), ctx.platform.tz);
    let paging = Paging { page: query.page, limit: query.limit };
    let filter = query.into_filter(clock::local_date(ctx.platform.clock.now_ms(), tz), tz);
    let (total, rows) = store::list(ctx.platform.db.conn(), &filter, paging).await?;
    let rows = rows.into_iter().map(|row| ReportRow {
        id: row.id,
        cover: ctx.storage.public_url(&row.cover),
        title: row.title,
        price: Yuan(row.price_fen),
        subscribe_count: row.subscribe_count,
        status: row.status,
        publish_at: local_text(row.publish_at, tz),
        type_name: String::new(),
    });
    Ok(web::Json(Data::new(Page::new(paging, total, rows.collect()))))
}

/// Adds a report. `Idempotency-Key` is honoured.
#[utoipa::path(
    post, path = "/api/report", operation_id = "PAYMENT_REPORT_ADD", tag = "reports",
    request_body(content((AddBody = "application/json"), (AddBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Dated<Id>))
)]
pub async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    body: Body<AddBody>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("PAYMENT_REPORT_ADD", &identity.caller);
    let sha256 = body.sha256.clone();
    let new = body.into_inner().into_report(ctx.platform.tz);
    let platform = &ctx.platform;
    let who = Who::from(&identity);
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &sha256, async |tx| {
        service::add(&ctx, tx, &who, new).await.map(|id| Dated::new(Id { id }))
    })
    .await
}

/// A report, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportInfo {
    id: i64,
    title: String,
    /// Public URL.
    cover: String,
    type_id: i64,
    intro: String,
    directory: String,
    /// Public URL of the file.
    file_address: String,
    price: Yuan,
    read_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    status: i16,
    /// `YYYY-MM-DD HH:MM:SS`, "" when unset.
    publish_time: String,
    short_intro: String,
}

impl ReportInfo {
    pub(super) fn new(ctx: &Ctx, report: Model) -> Self {
        Self {
            id: report.id,
            cover: ctx.storage.public_url(&report.cover),
            file_address: ctx.storage.public_url(&report.file_src),
            title: report.title,
            type_id: report.type_id,
            intro: report.intro,
            directory: report.directory,
            price: Yuan(report.price_fen),
            read_count: report.read_count,
            status: report.status,
            publish_time: local_text(report.publish_at, ctx.platform.tz),
            short_intro: report.short_intro,
        }
    }
}

/// One report.
#[utoipa::path(
    get, path = "/api/report/{report_id}", operation_id = "PAYMENT_REPORT_INFO", tag = "reports",
    params(("report_id" = i64, Path)), responses((status = 200, body = Data<ReportInfo>))
)]
pub async fn info(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Data<ReportInfo>>, ApiError> {
    let report = store::find(ctx.platform.db.conn(), *id).await?.ok_or(ReportError::NotFound)?;
    Ok(web::Json(Data::new(ReportInfo::new(&ctx, report))))
}

/// Changes a report and its white list.
#[utoipa::path(
    put, path = "/api/report/{report_id}", operation_id = "PAYMENT_REPORT_MODIFY", tag = "reports",
    params(("report_id" = i64, Path)),
    request_body(content((ModifyBody = "application/json"), (ModifyBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Dated<Id>))
)]
pub async fn modify(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<ModifyBody>,
) -> Result<web::Json<Dated<Id>>, ApiError> {
    let change = body.into_inner().into_change(ctx.platform.tz);
    let tx = ctx.platform.db.write_tx().await?;
    service::modify(&ctx, &tx, &Who::from(&identity), *id, change).await?;
    tx.commit().await?;
    Ok(web::Json(Dated::new(Id { id: *id })))
}

/// Deletes a report softly: orders and reading rights stay.
#[utoipa::path(
    delete, path = "/api/report/{report_id}", operation_id = "PAYMENT_REPORT_DELETE", tag = "reports",
    params(("report_id" = i64, Path)), responses((status = 200, body = Dated<Id>))
)]
pub async fn delete(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Dated<Id>>, ApiError> {
    let tx = ctx.platform.db.write_tx().await?;
    service::delete(&ctx, &tx, &Who::from(&identity), *id).await?;
    tx.commit().await?;
    Ok(web::Json(Dated::new(Id { id: *id })))
}

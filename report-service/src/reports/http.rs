//! Reports on the wire.

use actix_web::{HttpResponse, web};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use platform::{
    clock::{self, day_start_ms, local_text},
    http::{
        ApiError, Body, BodyLimit, Fields, FromFields, IdempotencyKey, Query, caller::Identity, idempotency,
    },
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    rules::{self, Status},
    service::{self, NewFile, NewReport, ReportChange, ReportError},
    store::{self, Filter},
};
use crate::{
    app::Ctx,
    entities::report::Model,
    whitelist::{
        rules::{EntryChange, MAX_READS, MAX_ROWS, NewEntry},
        service::RowChange,
    },
    wire::{Data, Dated, Id, Page, Paging, Yuan},
};

/// A body with a `white_list` of some thousand rows; the gateway has the same limit.
const WHITE_LIST_BYTES: usize = 4 * 1024 * 1024;
const MAX_TITLE: usize = 255;
const MAX_ADDRESS: usize = 1024;
const MAX_TEXT: usize = 100_000;
/// 1 TiB: a size nobody means.
const MAX_FILE_BYTES: i64 = 1 << 40;

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

/// A file that was uploaded to the storage, or lies elsewhere.
#[derive(Debug, ToSchema)]
pub struct FileBody {
    file_name: String,
    /// Absolute URL or storage key.
    src: String,
    format: String,
    /// Bytes.
    size: i64,
}

impl FromFields for FileBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            file_name: f.required_text("file_name", MAX_TITLE),
            src: f.required_text("src", MAX_ADDRESS),
            format: f.required_text("format", 32),
            size: f.required_int("size", 0..=MAX_FILE_BYTES),
        }
    }
}

impl From<FileBody> for NewFile {
    fn from(file: FileBody) -> Self {
        Self { name: file.file_name, src: file.src, format: file.format, size_bytes: file.size }
    }
}

/// A new report. Numbers may come as strings; forms nest with brackets: `file[src]=`, `white_list[0][mobile]=`.
#[derive(Debug, ToSchema)]
pub struct AddBody {
    title: String,
    /// Absolute URL or storage key.
    cover: String,
    type_id: Option<i64>,
    intro: String,
    directory: String,
    file: FileBody,
    #[schema(value_type = f64)]
    price: i64,
    read_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    #[schema(value_type = i64)]
    status: Status,
    /// `YYYY-MM-DD HH:MM:SS`; status 1 without it = now, with a future one = scheduled.
    #[schema(value_type = Option<String>)]
    publish_time: Option<NaiveDateTime>,
    short_intro: Option<String>,
    white_list: Option<Vec<NewEntry>>,
}

impl FromFields for AddBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            title: f.required_text("title", MAX_TITLE),
            cover: f.required_text("cover", MAX_ADDRESS),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            intro: f.required_text("intro", MAX_TEXT),
            directory: f.required_text("directory", MAX_TEXT),
            file: f.required_object("file", FileBody::read),
            price: f.required_yuan("price"),
            read_count: f.required_int("read_count", 0..=MAX_READS),
            status: Status::from_number(f.required_int("status", 0..=2)),
            publish_time: read_publish_time(f),
            short_intro: f.optional_text("short_intro", MAX_TEXT),
            white_list: f.optional_list("white_list", MAX_ROWS, NewEntry::read_in_report),
        }
    }
}

/// `publish_time` as a time of the business time zone; "" is absent.
fn read_publish_time(f: &mut Fields<'_>) -> Option<NaiveDateTime> {
    let text = f.optional_text("publish_time", 64).filter(|t| !t.is_empty())?;
    let time = rules::parse_local_time(&text);
    if time.is_none() {
        f.error(
            "publish_time",
            "必须是 YYYY-MM-DD HH:MM:SS 格式的时间",
            "must be a time as YYYY-MM-DD HH:MM:SS",
        );
    }
    time
}

impl AddBody {
    fn into_report(self, tz: Tz) -> NewReport {
        NewReport {
            title: self.title,
            cover: self.cover,
            type_id: self.type_id.unwrap_or(0),
            intro: self.intro,
            directory: self.directory,
            short_intro: self.short_intro.unwrap_or_default(),
            file: self.file.into(),
            price_fen: self.price,
            read_count: self.read_count,
            status: self.status,
            publish_time: self.publish_time.map(|t| local_ms(t, tz)),
            white_list: self.white_list.unwrap_or_default(),
        }
    }
}

/// Unix milliseconds of a time in `tz`; a time the clock jumped over counts from the gap's end.
fn local_ms(time: NaiveDateTime, tz: Tz) -> i64 {
    use chrono::TimeZone as _;
    let resolved = tz
        .from_local_datetime(&time)
        .earliest()
        .or_else(|| tz.from_local_datetime(&(time + TimeDelta::hours(1))).earliest());
    resolved.map_or_else(|| time.and_utc().timestamp_millis(), |t| t.timestamp_millis())
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
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &sha256, async |tx| {
        service::add(&ctx, tx, &identity.caller, new).await.map(|id| Dated::new(Id { id }))
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
    fn new(ctx: &Ctx, report: Model) -> Self {
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

/// A change of a report; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct ModifyBody {
    title: Option<String>,
    cover: Option<String>,
    type_id: Option<i64>,
    intro: Option<String>,
    directory: Option<String>,
    file: Option<FileBody>,
    #[schema(value_type = Option<f64>)]
    price: Option<i64>,
    read_count: Option<i64>,
    /// 0 waiting, 1 published, 2 withdrawn.
    #[schema(value_type = Option<i64>)]
    status: Option<Status>,
    /// `YYYY-MM-DD HH:MM:SS`; with status 1 a future one = scheduled.
    #[schema(value_type = Option<String>)]
    publish_time: Option<NaiveDateTime>,
    short_intro: Option<String>,
    white_list: Option<Vec<RowChange>>,
}

impl FromFields for ModifyBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            title: filled_text(f, "title", MAX_TITLE),
            cover: filled_text(f, "cover", MAX_ADDRESS),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            intro: filled_text(f, "intro", MAX_TEXT),
            directory: filled_text(f, "directory", MAX_TEXT),
            file: f.optional_object("file", FileBody::read),
            price: f.optional_yuan("price"),
            read_count: f.optional_int("read_count", 0..=MAX_READS),
            status: f.optional_int("status", 0..=2).map(Status::from_number),
            publish_time: read_publish_time(f),
            short_intro: f.optional_text("short_intro", MAX_TEXT),
            white_list: f.optional_list("white_list", MAX_ROWS, |f| RowChange {
                id: f.optional_int("id", 1..=i64::MAX),
                change: EntryChange::read(f),
            }),
        }
    }
}

/// A text that may be absent, but not empty: a report cannot do without it.
fn filled_text(f: &mut Fields<'_>, name: &str, max_chars: usize) -> Option<String> {
    f.has(name).then(|| f.required_text(name, max_chars))
}

impl ModifyBody {
    fn into_change(self, tz: Tz) -> ReportChange {
        ReportChange {
            title: self.title,
            cover: self.cover,
            type_id: self.type_id,
            intro: self.intro,
            directory: self.directory,
            short_intro: self.short_intro,
            file: self.file.map(NewFile::from),
            price_fen: self.price,
            read_count: self.read_count,
            status: self.status,
            publish_time: self.publish_time.map(|t| local_ms(t, tz)),
            white_list: self.white_list.unwrap_or_default(),
        }
    }
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
    service::modify(&ctx, &tx, &identity.caller, *id, change).await?;
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
    _caller: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Dated<Id>>, ApiError> {
    let tx = ctx.platform.db.write_tx().await?;
    service::delete(&ctx, &tx, *id).await?;
    tx.commit().await?;
    Ok(web::Json(Dated::new(Id { id: *id })))
}

//! Workbooks on the wire.

use actix_multipart::Multipart;
use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::header::{Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue},
    web,
};
use bytes::Bytes;
use platform::{
    audit::Who,
    clock::local_text,
    http::{ApiError, Fields, FromFields, Query, caller::Identity},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    download,
    http_upload::{FileForm, upload},
    parse,
    rules::{self, Counts},
    service::{self, Outcome, Upload, WorkbookError},
    store, write,
};
use crate::{
    app::Ctx,
    entities::white_list_import::Model,
    files, reports,
    wire::{Data, Dated, Page, Paging},
};

/// Rows that a conversion answers.
const MAX_CONVERTED_ROWS: usize = 20_000;
/// Ids of one export.
const MAX_IDS: usize = 10_000;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/white/example").get(example).post(convert))
        .service(web::resource("/api/report/{report_id}/excel").post(import).get(export))
        .service(web::resource("/api/report/{report_id}/import").get(imports))
        .service(
            web::resource("/api/report/{report_id}/import/{import_id}").get(import_info).delete(import_undo),
        )
        .service(web::resource("/api/report/{report_id}/import/{import_id}/error").get(import_errors));
}

/// Options of an import.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// 1: count what the import would do, and write nothing.
    #[param(value_type = Option<i64>)]
    dry_run: bool,
}

impl FromFields for ImportQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { dry_run: f.optional_bool("dry_run").unwrap_or(false) }
    }
}

/// What an import did so far; `total = success + repeat + error` at every moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportAnswer {
    /// Rows dealt with.
    total: i64,
    success: i64,
    /// The mobile was in the report already, or earlier in the file.
    repeat: i64,
    error: i64,
    /// 0 for a dry run.
    import_id: i64,
    /// `done`, `running` (above 5,000 rows: ask again), `failed`, `undone`, `dry_run`
    state: String,
    /// Rows of the file.
    rows: i64,
    /// Where the refused rows can be fetched as a workbook; "" when there are none.
    error_file: String,
}

impl ImportAnswer {
    fn of(import: &Model) -> Self {
        let counts = store::counts(import);
        let error_file = match counts.error {
            0 => String::new(),
            _ => format!("/api/report/{}/import/{}/error", import.report_id, import.id),
        };
        Self {
            import_id: import.id,
            state: import.state.clone(),
            error_file,
            ..Self::dry(import.row_count, counts)
        }
    }

    fn dry(rows: i64, counts: Counts) -> Self {
        Self {
            total: counts.total(),
            success: counts.success,
            repeat: counts.repeat,
            error: counts.error,
            import_id: 0,
            state: "dry_run".into(),
            rows,
            error_file: String::new(),
        }
    }
}

/// Imports a workbook (xlsx, xls, csv in UTF-8 or GBK; at most 32 MiB and 500,000 rows) into the white list.
#[utoipa::path(
    post, path = "/api/report/{report_id}/excel", operation_id = "REPORT_WHITE_IMPORT", tag = "workbook",
    params(("report_id" = i64, Path), ImportQuery),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Dated<ImportAnswer>))
)]
pub async fn import(
    ctx: web::Data<Ctx>,
    identity: Identity,
    report_id: web::Path<i64>,
    query: Query<ImportQuery>,
    form: Multipart,
) -> Result<web::Json<Dated<ImportAnswer>>, ApiError> {
    let upload = upload(form).await?;
    let who = Who::from(&identity);
    let answer = match service::import(&ctx, *report_id, &who, upload, query.dry_run).await? {
        Outcome::Dry { rows, counts } => ImportAnswer::dry(rows, counts),
        Outcome::Import(import) => ImportAnswer::of(&import),
    };
    Ok(web::Json(Dated::new(answer)))
}

/// Which entries to export.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `[1,2]`, `1,2`, or `id[]=1` repeated; absent = all.
    #[param(value_type = Option<String>)]
    id: Option<Vec<i64>>,
}

impl FromFields for ExportQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { id: f.optional_int_list("id", MAX_IDS) }
    }
}

/// The white list as a workbook.
#[utoipa::path(
    get, path = "/api/report/{report_id}/excel", operation_id = "REPORT_WHITE_EXPORT", tag = "workbook",
    params(("report_id" = i64, Path), ExportQuery),
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))
)]
pub async fn export(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    report_id: web::Path<i64>,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    report_must_exist(&ctx, *report_id).await?;
    let file = download::export(&ctx, *report_id, query.into_inner().id).await?;
    attachment(file, &format!("白名单-{report_id}.xlsx"), &format!("white-list-{report_id}.xlsx")).await
}

async fn report_must_exist(ctx: &Ctx, id: i64) -> Result<(), ApiError> {
    let there = reports::store::exists(ctx.platform.db.conn(), id).await?;
    if there { Ok(()) } else { Err(WorkbookError::NoSuchReport.into()) }
}

/// A workbook as a download under both names: the first for clients that read RFC 5987, the ASCII one for all.
async fn attachment(file: std::fs::File, name: &str, ascii: &str) -> Result<HttpResponse, ApiError> {
    let (length, chunks) = files::stream(file).await.map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(XLSX)
        .insert_header(disposition(name, ascii))
        .body(SizedStream::new(length, Box::pin(chunks))))
}

fn disposition(name: &str, ascii: &str) -> ContentDisposition {
    let extended = ExtendedValue {
        charset: Charset::Ext("UTF-8".into()),
        language_tag: None,
        value: name.as_bytes().to_vec(),
    };
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![
            DispositionParam::Filename(ascii.to_owned()),
            DispositionParam::FilenameExt(extended),
        ],
    }
}

/// An import and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportInfo {
    #[serde(flatten)]
    answer: ImportAnswer,
    id: i64,
    file_name: String,
    author: String,
    /// Why it failed, "" otherwise.
    reason: String,
    /// `YYYY-MM-DD HH:MM:SS`
    created_at: String,
    /// "" while running.
    finished_at: String,
}

impl ImportInfo {
    pub(super) fn new(ctx: &Ctx, import: Model) -> Self {
        let tz = ctx.platform.tz;
        Self {
            answer: ImportAnswer::of(&import),
            id: import.id,
            file_name: import.file_name,
            author: import.author,
            reason: import.reason,
            created_at: local_text(import.created_at, tz),
            finished_at: local_text(import.finished_at, tz),
        }
    }
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

/// The imports of a report, newest first.
#[utoipa::path(
    get, path = "/api/report/{report_id}/import", operation_id = "REPORT_IMPORT_LIST", tag = "workbook",
    params(("report_id" = i64, Path), PageQuery), responses((status = 200, body = Data<Page<ImportInfo>>))
)]
pub async fn imports(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    report_id: web::Path<i64>,
    query: Query<PageQuery>,
) -> Result<web::Json<Data<Page<ImportInfo>>>, ApiError> {
    report_must_exist(&ctx, *report_id).await?;
    let paging = Paging { page: query.page, limit: query.limit };
    let (total, imports) = store::list(ctx.platform.db.conn(), *report_id, paging).await?;
    let rows = imports.into_iter().map(|import| ImportInfo::new(&ctx, import)).collect();
    Ok(web::Json(Data::new(Page::new(paging, total, rows))))
}

async fn find(ctx: &Ctx, report_id: i64, id: i64) -> Result<Model, ApiError> {
    let import = store::find(ctx.platform.db.conn(), report_id, id).await?;
    import.ok_or_else(|| WorkbookError::NoSuchImport.into())
}

/// One import: how far it is, what it did.
#[utoipa::path(
    get, path = "/api/report/{report_id}/import/{import_id}", operation_id = "REPORT_IMPORT_INFO",
    tag = "workbook", params(("report_id" = i64, Path), ("import_id" = i64, Path)),
    responses((status = 200, body = Data<ImportInfo>))
)]
pub async fn import_info(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    ids: web::Path<(i64, i64)>,
) -> Result<web::Json<Data<ImportInfo>>, ApiError> {
    let (report_id, id) = ids.into_inner();
    let import = find(&ctx, report_id, id).await?;
    Ok(web::Json(Data::new(ImportInfo::new(&ctx, import))))
}

/// What an undo did.
#[derive(Debug, Serialize, ToSchema)]
pub struct UndoAnswer {
    id: i64,
    /// Entries that went.
    removed: i64,
}

/// Takes an import back, if none of its entries was changed or read since.
#[utoipa::path(
    delete, path = "/api/report/{report_id}/import/{import_id}", operation_id = "REPORT_IMPORT_UNDO",
    tag = "workbook", params(("report_id" = i64, Path), ("import_id" = i64, Path)),
    responses((status = 200, body = Data<UndoAnswer>))
)]
pub async fn import_undo(
    ctx: web::Data<Ctx>,
    identity: Identity,
    ids: web::Path<(i64, i64)>,
) -> Result<web::Json<Data<UndoAnswer>>, ApiError> {
    let (report_id, id) = ids.into_inner();
    let tx = ctx.platform.db.write_tx().await?;
    let removed = service::undo(&ctx, &tx, &Who::from(&identity), report_id, id).await?;
    tx.commit().await?;
    Ok(web::Json(Data::new(UndoAnswer { id, removed })))
}

/// The rows an import refused, as a workbook with the reasons; kept for 30 days.
#[utoipa::path(
    get, path = "/api/report/{report_id}/import/{import_id}/error", operation_id = "REPORT_IMPORT_ERROR",
    tag = "workbook", params(("report_id" = i64, Path), ("import_id" = i64, Path)),
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))
)]
pub async fn import_errors(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    ids: web::Path<(i64, i64)>,
) -> Result<HttpResponse, ApiError> {
    let (report_id, id) = ids.into_inner();
    let import = find(&ctx, report_id, id).await?;
    let file = download::errors(&ctx, import).await?;
    attachment(file, &format!("导入错误-{id}.xlsx"), &format!("import-errors-{id}.xlsx")).await
}

/// The template: header with notes, an example row (which an import skips), rules for what may be typed.
#[utoipa::path(
    get, path = "/api/white/example", operation_id = "WHITE_LIST_EXAMPLE", tag = "workbook",
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))
)]
pub async fn example(_caller: Identity) -> Result<HttpResponse, ApiError> {
    let bytes = write::template().map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(XLSX)
        .insert_header(disposition("白名单示例.xlsx", "white-list-example.xlsx"))
        .body(Bytes::from(bytes)))
}

/// A row of a converted workbook. A numeric cell stays a number.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConvertedRow {
    given_user: Value,
    given_position: Value,
    given_company: Value,
    mobile: Value,
    read_count: Value,
}

/// Reads a workbook as an import would, and stores nothing; at most 20,000 rows.
#[utoipa::path(
    post, path = "/api/white/example", operation_id = "WHITE_EXPORT_CONVERT", tag = "workbook",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Data<Vec<ConvertedRow>>))
)]
pub async fn convert(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    form: Multipart,
) -> Result<web::Json<Data<Vec<ConvertedRow>>>, ApiError> {
    let upload = upload(form).await?;
    let rows = service::with_permit(&ctx.readers, move || converted(&upload)).await?;
    Ok(web::Json(Data::new(rows)))
}

fn converted(upload: &Upload) -> Result<Vec<ConvertedRow>, WorkbookError> {
    let mut rows = Vec::new();
    parse::read_table(upload.file.path(), &upload.name, |columns, row| {
        let cells = columns.pick(&row);
        if rules::is_example(cells) {
            return Ok(());
        }
        if rows.len() == MAX_CONVERTED_ROWS {
            return Err(parse::ReadError::TooLarge {
                zh: format!("数据超过 {MAX_CONVERTED_ROWS} 行，请使用导入"),
                en: format!("there are more than {MAX_CONVERTED_ROWS} rows; use the import"),
            });
        }
        let [given_user, given_position, given_company, mobile, read_count] = cells.map(rules::json_cell);
        rows.push(ConvertedRow { given_user, given_position, given_company, mobile, read_count });
        Ok(())
    })?;
    Ok(rows)
}

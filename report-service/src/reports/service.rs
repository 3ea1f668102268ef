//! The use-cases that write reports.

use contracts::events::ReportChanged;
use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    http::ApiError,
};
use sea_orm::DbErr;

use super::{
    http::ReportInfo,
    rules::{self, Shelf, Status},
    store,
};
use crate::{
    app::Ctx,
    entities::report::Model,
    storage::Storage,
    whitelist::{
        self,
        rules::NewEntry,
        service::{RowChange, WhitelistError},
        store::Origin,
    },
};

/// What the audit calls a report.
const TARGET: &str = "report";

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("no such report")]
    NotFound,
    #[error(transparent)]
    Whitelist(#[from] WhitelistError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ReportError> for ApiError {
    fn from(e: ReportError) -> Self {
        match e {
            ReportError::NotFound => Self::not_found("报告不存在", "no such report"),
            ReportError::Whitelist(e) => e.into(),
            ReportError::Db(e) => e.into(),
        }
    }
}

/// A file as the caller describes it.
#[derive(Debug)]
pub struct NewFile {
    pub name: String,
    /// Absolute URL or storage key.
    pub src: String,
    pub format: String,
    pub size_bytes: i64,
}

/// A report to add.
#[derive(Debug)]
pub struct NewReport {
    pub title: String,
    pub cover: String,
    pub type_id: i64,
    pub intro: String,
    pub directory: String,
    pub short_intro: String,
    pub file: NewFile,
    pub price_fen: i64,
    pub read_count: i64,
    pub status: Status,
    /// Unix milliseconds.
    pub publish_time: Option<i64>,
    pub white_list: Vec<NewEntry>,
}

/// Adds a report with its white list, all or nothing; answers its id.
pub async fn add(ctx: &Ctx, tx: &WriteTx, who: &Who, new: NewReport) -> Result<i64, ReportError> {
    let now = ctx.platform.clock.now_ms();
    let white_list = new.white_list.clone();
    let report = store::insert(tx, model(new, now)).await?;
    announce(ctx, tx, &report).await?;
    let id = report.id;
    let change = Change::new("report.add", TARGET, id).after(&ReportInfo::new(ctx, report));
    audit::record(&ctx.platform, tx, who, change).await?;
    let origin = Origin { report_id: id, who, import_id: 0, now_ms: now };
    whitelist::service::add(&ctx.platform, tx, origin, &white_list).await?;
    Ok(id)
}

fn model(new: NewReport, now: i64) -> Model {
    let shelf = rules::shelve(new.status, new.publish_time, now);
    Model {
        id: 0,
        version: 1,
        file_base: rules::file_base(&new.file.src).to_owned(),
        file_full: rules::file_full(&new.file.name, &new.file.format),
        title: new.title,
        cover: new.cover,
        type_id: new.type_id,
        intro: new.intro,
        directory: new.directory,
        short_intro: new.short_intro,
        file_name: new.file.name,
        file_src: new.file.src,
        file_format: new.file.format,
        file_size: new.file.size_bytes,
        price_fen: new.price_fen,
        read_count: new.read_count,
        status: shelf.status.number(),
        publish_at: shelf.publish_at,
        due_at: shelf.due_at,
        subscribe_count: 0,
        copied_at: 0,
        created_at: now,
        updated_at: now,
        deleted_at: 0,
    }
}

/// A change of a report; absent = unchanged.
#[derive(Debug, Default)]
pub struct ReportChange {
    pub title: Option<String>,
    pub cover: Option<String>,
    pub type_id: Option<i64>,
    pub intro: Option<String>,
    pub directory: Option<String>,
    pub short_intro: Option<String>,
    pub file: Option<NewFile>,
    pub price_fen: Option<i64>,
    pub read_count: Option<i64>,
    pub status: Option<Status>,
    /// Unix milliseconds.
    pub publish_time: Option<i64>,
    pub white_list: Vec<RowChange>,
}

/// Changes a report and its white list, all or nothing.
pub async fn modify(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    id: i64,
    mut change: ReportChange,
) -> Result<(), ReportError> {
    let now = ctx.platform.clock.now_ms();
    let before = store::find_for_update(tx, id).await?.ok_or(ReportError::NotFound)?;
    let rows = std::mem::take(&mut change.white_list);
    let mut report = before.clone();
    apply(&mut report, change, now);
    if report != before {
        report.version += 1;
        report.updated_at = now;
        let report = store::update(tx, report).await?;
        announce(ctx, tx, &report).await?;
        record(ctx, tx, who, "report.modify", (before, report)).await?;
    }
    let origin = Origin { report_id: id, who, import_id: 0, now_ms: now };
    whitelist::service::change_rows(&ctx.platform, tx, origin, rows).await?;
    Ok(())
}

fn apply(report: &mut Model, change: ReportChange, now: i64) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(&mut report.title, change.title);
    set(&mut report.cover, change.cover);
    set(&mut report.type_id, change.type_id);
    set(&mut report.intro, change.intro);
    set(&mut report.directory, change.directory);
    set(&mut report.short_intro, change.short_intro);
    set(&mut report.price_fen, change.price_fen);
    set(&mut report.read_count, change.read_count);
    if let Some(file) = change.file {
        if file.src != report.file_src {
            report.copied_at = 0;
        }
        rules::file_base(&file.src).clone_into(&mut report.file_base);
        report.file_full = rules::file_full(&file.name, &file.format);
        report.file_name = file.name;
        report.file_src = file.src;
        report.file_format = file.format;
        report.file_size = file.size_bytes;
    }
    let shelf = Shelf {
        status: Status::from_number(report.status.into()),
        publish_at: report.publish_at,
        due_at: report.due_at,
    };
    let shelf = rules::reshelve(shelf, change.status, change.publish_time, now);
    report.status = shelf.status.number();
    report.publish_at = shelf.publish_at;
    report.due_at = shelf.due_at;
}

/// Takes a report off all lists; orders and reading rights stay.
pub async fn delete(ctx: &Ctx, tx: &WriteTx, who: &Who, id: i64) -> Result<(), ReportError> {
    let mut report = store::find_for_update(tx, id).await?.ok_or(ReportError::NotFound)?;
    let before = ReportInfo::new(ctx, report.clone());
    let now = ctx.platform.clock.now_ms();
    report.deleted_at = now;
    report.updated_at = now;
    report.due_at = 0;
    report.version += 1;
    let report = store::update(tx, report).await?;
    announce(ctx, tx, &report).await?;
    let change = Change::new("report.delete", TARGET, id).before(&before);
    audit::record(&ctx.platform, tx, who, change).await?;
    Ok(())
}

/// Publishes up to `limit` reports whose time has come, as this service itself; answers how many.
pub async fn publish_due(ctx: &Ctx, tx: &WriteTx, limit: i64) -> Result<usize, DbErr> {
    let due = store::publish_due(tx, ctx.platform.clock.now_ms(), limit).await?;
    let published = due.len();
    let who = Who::system("publisher");
    for report in due {
        announce(ctx, tx, &report).await?;
        let before = Model { status: Status::Waiting.number(), ..report.clone() };
        record(ctx, tx, &who, "report.publish", (before, report)).await?;
    }
    Ok(published)
}

async fn record(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    action: &'static str,
    (before, after): (Model, Model),
) -> Result<(), DbErr> {
    let change = Change::new(action, TARGET, after.id);
    let change = change.before(&ReportInfo::new(ctx, before)).after(&ReportInfo::new(ctx, after));
    audit::record(&ctx.platform, tx, who, change).await
}

/// Tells `report.changed` in the transaction of the change.
async fn announce(ctx: &Ctx, tx: &WriteTx, report: &Model) -> Result<(), DbErr> {
    let event = changed(&ctx.storage, report);
    ctx.platform.outbox.append(tx, report.id.to_string(), &event).await.map(|_| ())
}

fn changed(storage: &Storage, report: &Model) -> ReportChanged {
    ReportChanged {
        id: report.id,
        version: report.version,
        title: report.title.clone(),
        cover: storage.public_url(&report.cover),
        price_fen: report.price_fen,
        read_count: report.read_count,
        status: report.status,
        deleted: report.deleted_at > 0,
    }
}

//! The use-cases that write reports.

use contracts::{events::ReportChanged, identity::Caller};
use platform::{db::WriteTx, http::ApiError};
use sea_orm::DbErr;

use super::{
    rules::{self, Status},
    store,
};
use crate::{
    app::Ctx,
    entities::report::Model,
    storage::Storage,
    whitelist::{self, rules::NewEntry, store::Origin},
};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ReportError> for ApiError {
    fn from(e: ReportError) -> Self {
        match e {
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
pub async fn add(ctx: &Ctx, tx: &WriteTx, author: &Caller, new: NewReport) -> Result<i64, ReportError> {
    let now = ctx.platform.clock.now_ms();
    let white_list = new.white_list.clone();
    let report = store::insert(tx, model(new, now)).await?;
    announce(ctx, tx, &report).await?;
    let origin = Origin { report_id: report.id, author: &author.nickname, import_id: 0, now_ms: now };
    whitelist::service::add(&ctx.platform, tx, origin, &white_list).await?;
    Ok(report.id)
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

//! Importing a workbook: nothing holds before all of it was judged. What was not written by then is written in batches,
//! each in one transaction with its counts, so that a restart goes on where it stopped and nothing is inserted twice.

use std::sync::Arc;

use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    http::ApiError,
};
use sea_orm::DbErr;
use tokio::sync::Semaphore;

use super::{
    http::ImportInfo,
    parse::ReadError,
    rules::{Batch, Counts, GoodRow},
    service_read::{self, rehearse, take_in},
    service_tell, store,
};
use crate::{
    app::Ctx,
    entities::white_list_import::Model,
    reports,
    whitelist::{self, rules::NewEntry, store::Origin},
};

/// Entries removed by one statement of an undo.
const UNDO_BATCH: i64 = 500;

/// Why a workbook could not be imported, or an import not undone.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookError {
    #[error("no such report")]
    NoSuchReport,
    #[error("no such import")]
    NoSuchImport,
    #[error("the import is still running")]
    Running,
    #[error("the import has been undone before")]
    Undone,
    #[error("{0} entries of the import were changed or read since")]
    Touched(i64),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the reader of workbooks ended badly: {0}")]
    Reader(#[from] tokio::task::JoinError),
    #[error("the workbook could not be written: {0}")]
    Write(#[from] rust_xlsxwriter::XlsxError),
    #[error("a staged batch is no batch: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<WorkbookError> for ApiError {
    fn from(e: WorkbookError) -> Self {
        match e {
            WorkbookError::NoSuchReport => Self::not_found("报告不存在", "no such report"),
            WorkbookError::NoSuchImport => Self::not_found("导入记录不存在", "no such import"),
            WorkbookError::Running => Self::refused("导入仍在进行", "the import is still running"),
            WorkbookError::Undone => Self::refused("该导入已撤销", "the import has been undone before"),
            WorkbookError::Touched(n) => Self::refused(
                format!("有 {n} 条记录在导入后被修改或使用，无法撤销"),
                format!("{n} entries were changed or read since; the import cannot be undone"),
            ),
            WorkbookError::Read(e) => read_error(e),
            // A panic of a reader is the file's doing; the process goes on.
            WorkbookError::Reader(e) if e.is_panic() => {
                Self::unreadable_body("文件已损坏，无法读取", "the file is damaged").with_source(e)
            }
            WorkbookError::Db(e) => e.into(),
            e => Self::internal(e),
        }
    }
}

fn read_error(e: ReadError) -> ApiError {
    match e {
        ReadError::WrongKind { zh, en } => ApiError::unsupported_media(zh, en),
        ReadError::Unusable { zh, en } => ApiError::unreadable_body(zh, en),
        ReadError::TooLarge { zh, en } => ApiError::too_large(super::MAX_FILE_BYTES).with_message(zh, en),
        e @ (ReadError::Io(_) | ReadError::Stopped) => ApiError::internal(e),
    }
}

/// An uploaded workbook.
pub struct Upload {
    pub file: tempfile::NamedTempFile,
    /// As the client calls it.
    pub name: String,
}

/// What came of an import, or would come of it.
pub enum Outcome {
    /// Nothing was written; these are the counts an import would give now.
    Dry {
        rows: i64,
        counts: Counts,
    },
    Import(Model),
}

/// Imports a workbook into a report. Large files go on as a job after this has answered.
pub async fn import(
    ctx: &Ctx,
    report_id: i64,
    who: &Who,
    upload: Upload,
    dry_run: bool,
) -> Result<Outcome, WorkbookError> {
    if !reports::store::exists(ctx.platform.db.conn(), report_id).await? {
        return Err(WorkbookError::NoSuchReport);
    }
    if dry_run {
        let (read, counts) =
            service_read::read(ctx, upload, async |batches| rehearse(ctx, report_id, batches).await).await?;
        return Ok(Outcome::Dry { rows: read.rows, counts });
    }
    let mut import = Model {
        id: ctx.platform.ids.next(),
        report_id,
        author: who.actor.name.clone(),
        file_name: upload.name.clone(),
        header: String::new(),
        state: "running".into(),
        reason: String::new(),
        row_count: 0,
        success_count: 0,
        repeat_count: 0,
        error_count: 0,
        first_id: 0,
        last_id: 0,
        into_empty: false,
        untold_from: 1,
        created_at: ctx.platform.clock.now_ms(),
        finished_at: 0,
    };
    let taken =
        service_read::read(ctx, upload, async |batches| take_in(ctx, &mut import, batches).await).await;
    let (read, tx) = match taken {
        Ok(taken) => taken,
        Err(e) => {
            service_read::drop_staged(ctx, import.id).await;
            return Err(e);
        }
    };
    import.header = serde_json::to_string(&read.header)?;
    import.row_count = read.rows;
    let done = store::counts(&import).total() == import.row_count;
    if done {
        finish(&mut import, ctx.platform.clock.now_ms());
    }
    // A small import tells at once; for a larger one others wait.
    let small = read.rows <= service_read::BATCH_ROWS as i64;
    while small && service_tell::tell(ctx, &tx, &mut import).await? {}
    store::insert(&tx, import.clone()).await?;
    record(ctx, &tx, who, "import.add", (None, &import)).await?;
    tx.commit().await?;
    if done {
        ctx.untold.notify_one()
    } else {
        ctx.imports.notify_one()
    }
    Ok(Outcome::Import(import))
}

/// One entry of the audit stands for all rows of an import; the white list names it by `import_id`.
async fn record(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    action: &'static str,
    (before, after): (Option<&Model>, &Model),
) -> Result<(), DbErr> {
    let view = |import: &Model| ImportInfo::new(ctx, import.clone());
    let mut change = Change::new(action, "import", after.id).after(&view(after));
    if let Some(before) = before {
        change = change.before(&view(before));
    }
    audit::record(&ctx.platform, tx, who, change).await
}

/// Runs `work` where it may block, as many at a time as there are `permits`: each may hold a workbook's texts
/// in memory, and all of a core.
pub async fn with_permit<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, WorkbookError> + Send + 'static,
) -> Result<T, WorkbookError> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(|_| ReadError::Stopped)?;
    // The permit goes with the work: a caller who hangs up frees no room that is still in use.
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await?
}

pub(super) fn finish(import: &mut Model, now: i64) {
    import.state = "done".into();
    import.finished_at = now;
}

/// Writes one batch of an import and counts it; it is the caller's turn.
pub(super) async fn write(
    ctx: &Ctx,
    tx: &WriteTx,
    import: &mut Model,
    batch: Batch,
) -> Result<(), WorkbookError> {
    let alone = store::has_none_else(tx, import).await?;
    import.into_empty = alone;
    let counts = batch.counts();
    let entries: Vec<NewEntry> = batch.good.into_iter().map(entry).collect();
    let now_ms = ctx.platform.clock.now_ms();
    let who = Who::account_named(&import.author);
    let origin = Origin { report_id: import.report_id, who: &who, import_id: import.id, now_ms };
    let added = whitelist::service::add_imported(&ctx.platform, tx, origin, &entries, alone).await?;
    store::insert_errors(tx, import.id, &batch.bad).await?;
    if added.count > 0 {
        import.first_id = if import.first_id == 0 { added.first } else { import.first_id.min(added.first) };
        import.last_id = import.last_id.max(added.last);
    }
    let counts = counts.with_fresh(added.count);
    import.success_count += counts.success;
    import.repeat_count += counts.repeat;
    import.error_count += counts.error;
    Ok(())
}

fn entry((_, given_user, given_position, given_company, mobile, read_count): GoodRow) -> NewEntry {
    NewEntry { given_user, given_position, given_company, mobile, read_count, state: 0 }
}

/// Takes an import back: its entries go, if none of them was changed or read since. Answers how many went.
pub async fn undo(ctx: &Ctx, tx: &WriteTx, who: &Who, report_id: i64, id: i64) -> Result<i64, WorkbookError> {
    let mut import = store::find_for_update(tx, report_id, id).await?.ok_or(WorkbookError::NoSuchImport)?;
    match import.state.as_str() {
        "running" => return Err(WorkbookError::Running),
        "undone" => return Err(WorkbookError::Undone),
        _ => {}
    }
    let touched = store::touched(tx, &import).await?;
    if touched > 0 {
        return Err(WorkbookError::Touched(touched));
    }
    let mut removed = 0;
    loop {
        let entries = store::remove_entries(tx, &import, UNDO_BATCH).await?;
        if entries.is_empty() {
            break;
        }
        removed += i64::try_from(entries.len()).unwrap_or(0);
        let changes = entries.into_iter().map(|mut entry| {
            entry.version += 1;
            whitelist::service::changed(&entry, true)
        });
        whitelist::service::announce(&ctx.platform, tx, changes.collect()).await?;
    }
    // A reading that came in between keeps its entry, and with it the whole import.
    let touched = store::touched(tx, &import).await?;
    if touched > 0 {
        return Err(WorkbookError::Touched(touched));
    }
    let before = import.clone();
    import.state = "undone".into();
    record(ctx, tx, who, "import.undo", (Some(&before), &import)).await?;
    store::update(tx, import).await?;
    Ok(removed)
}

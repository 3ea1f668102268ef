//! A file on its way in: it is read and judged on a thread of its own, while what was judged goes on, batch by batch.
//! The first batches are written at once, uncommitted until the file was read to its end; what the database cannot
//! keep up with is staged in it and written later, by `service_job`. Staged rows outlive this process; they mean
//! nothing before their import stands beside them.

use platform::{db::WriteTx, ids};
use sea_orm::DbErr;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    parse::{self, ReadError},
    rules::{self, Batch, Counts, Known},
    service::{Upload, WorkbookError, with_permit, write},
    store,
};
use crate::{
    app::Ctx,
    entities::white_list_import::Model,
    whitelist::store::{Turn, await_turn, try_turn},
};

/// Rows of a batch. A file of one batch is small: its import is done when its request is answered.
pub const BATCH_ROWS: usize = 5_000;
/// Batches that wait for whoever takes them.
const WAITING: usize = 2;
/// Batches that wait in memory to be written, some 1 MiB each; what finds no room among them is staged.
const FRONT: usize = 8;
/// Staged rows without an import are left of a file that was given up, or of a process that died.
const ORPHANED_AFTER_MS: i64 = 3_600_000;

/// A file that was read and judged to its end; nothing is refused any more after this.
pub struct Read {
    pub header: Vec<String>,
    pub rows: i64,
}

/// Reads a file while `take` takes its batches; it has to take them all.
pub async fn read<T>(
    ctx: &Ctx,
    upload: Upload,
    take: impl AsyncFnOnce(mpsc::Receiver<Batch>) -> Result<T, WorkbookError>,
) -> Result<(Read, T), WorkbookError> {
    let (sender, batches) = mpsc::channel(WAITING);
    let reading = with_permit(&ctx.readers, move || judge(&upload, &sender));
    let (read, taken) = tokio::join!(reading, take(batches));
    // A taker that fails stops the reader: the cause is the taker's.
    let taken = taken?;
    Ok((read?, taken))
}

fn judge(upload: &Upload, batches: &mpsc::Sender<Batch>) -> Result<Read, WorkbookError> {
    let (mut batch, mut known, mut rows) = (Batch::default(), Known::default(), 0);
    let hand_over =
        |batch: &mut Batch| batches.blocking_send(std::mem::take(batch)).map_err(|_| ReadError::Stopped);
    let columns = parse::read_table(upload.file.path(), &upload.name, |columns, row| {
        if rules::is_example(columns.pick(&row)) {
            return Ok(());
        }
        rows += 1;
        batch.push(columns, &row, &mut known);
        if batch.len() == BATCH_ROWS { hand_over(&mut batch) } else { Ok(()) }
    })?;
    if batch.len() > 0 {
        hand_over(&mut batch)?;
    }
    Ok(Read { header: columns.header, rows })
}

/// Takes a file in for this import. Its first batches are written while the next ones are read, in the transaction that
/// is answered and that the import is to be committed with; what is read faster than it is written is staged.
pub async fn take_in(
    ctx: &Ctx,
    import: &mut Model,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<WriteTx, WorkbookError> {
    let db = &ctx.platform.db;
    let Some(first) = batches.recv().await else { return Ok(db.write_tx().await?) };
    // SQLite has one writer: whoever reads a file does not keep it from others.
    let front = if db.is_postgres() { ctx.front.try_acquire().ok() } else { None };
    if front.is_some() {
        let tx = db.write_tx().await?;
        match try_turn(&tx, import.report_id).await? {
            Turn::Mine => {
                write_front(ctx, &tx, import, first, batches).await?;
                return Ok(tx);
            }
            Turn::Taken => tx.rollback().await?,
            Turn::NoReport => return Err(WorkbookError::NoSuchReport),
        }
    }
    match batches.recv().await {
        Some(second) => {
            stage(ctx, import.id, [first, second], batches).await?;
            Ok(db.write_tx().await?)
        }
        None => {
            let tx = db.write_tx().await?;
            if await_turn(&tx, import.report_id).await? != Turn::Mine {
                return Err(WorkbookError::NoSuchReport);
            }
            write(ctx, &tx, import, first).await?;
            Ok(tx)
        }
    }
}

/// Writes batches until one finds no room among those that wait; that one and all behind it are staged, so that rows
/// keep the order of the file.
async fn write_front(
    ctx: &Ctx,
    tx: &WriteTx,
    import: &mut Model,
    first: Batch,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<(), WorkbookError> {
    let import_id = import.id;
    let (front, mut waiting) = mpsc::channel(FRONT);
    let writing = async {
        let mut next = Some(first);
        while let Some(batch) = next {
            write(ctx, tx, import, batch).await?;
            next = waiting.recv().await;
        }
        Ok(())
    };
    let sorting = async {
        match fill(front, &mut batches).await {
            Some(behind) => stage(ctx, import_id, [behind], batches).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(writing, sorting).map(|_| ())
}

/// Hands batches over as long as there is room; answers the first that found none.
async fn fill(front: mpsc::Sender<Batch>, batches: &mut mpsc::Receiver<Batch>) -> Option<Batch> {
    while let Some(batch) = batches.recv().await {
        if let Err(TrySendError::Full(batch) | TrySendError::Closed(batch)) = front.try_send(batch) {
            return Some(batch);
        }
    }
    None
}

async fn stage(
    ctx: &Ctx,
    import_id: i64,
    head: impl IntoIterator<Item = Batch>,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<(), WorkbookError> {
    let mut head = head.into_iter();
    for seq in 0.. {
        let next = match head.next() {
            Some(batch) => Some(batch),
            None => batches.recv().await,
        };
        let Some(batch) = next else { break };
        let body = tokio::task::spawn_blocking(move || serde_json::to_string(&batch)).await??;
        let tx = ctx.platform.db.write_tx_unhurried().await?;
        store::insert_batch(&tx, import_id, seq, &body).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Counts as an import would, and writes nothing.
pub async fn rehearse(
    ctx: &Ctx,
    report_id: i64,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<Counts, WorkbookError> {
    let mut counts = Counts::default();
    while let Some(batch) = batches.recv().await {
        let mobiles: Vec<&str> = batch.good.iter().map(|row| row.4.as_str()).collect();
        let known = store::known_mobiles(ctx.platform.db.conn(), report_id, &mobiles).await?;
        counts += batch.counts().with_fresh(mobiles.len() - known);
    }
    Ok(counts)
}

/// Drops what was staged for an import that will not be; [`forget_orphans`] does so where this cannot.
pub async fn drop_staged(ctx: &Ctx, import_id: i64) {
    let dropping = async {
        let tx = ctx.platform.db.write_tx().await?;
        store::drop_batches(&tx, import_id).await?;
        tx.commit().await
    };
    if let Err(e) = dropping.await {
        tracing::warn!(import = import_id, error = %e, "staged rows of a refused file stay for an hour");
    }
}

/// Drops some staged rows that have no import and are too old to get one; answers how many batches.
pub async fn forget_orphans(ctx: &Ctx) -> Result<u64, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let before = ids::floor_at(ctx.platform.clock.now_ms() - ORPHANED_AFTER_MS);
    let gone = store::purge_orphans(&tx, before).await?;
    tx.commit().await?;
    Ok(gone)
}

//! A file on its way in: it is read and judged on a thread of its own, while what was judged goes on, batch by batch.
//! The rows of a large file are staged in the database, so that they outlive this process; they mean nothing
//! before the file was read to its end and their import stands beside them.

use platform::ids;
use sea_orm::DbErr;
use tokio::sync::mpsc;

use super::{
    parse::{self, ReadError},
    rules::{self, Batch, Counts, Known},
    service::{Upload, WorkbookError, with_permit},
    store,
};
use crate::app::Ctx;

/// Rows of a batch. A file of one batch is small: its import is done when its request is answered.
pub const BATCH_ROWS: usize = 5_000;
/// Batches that wait for whoever takes them.
const WAITING: usize = 2;
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

/// Takes a file for the import of this id: a small one is answered, a larger one staged.
pub async fn stage(
    ctx: &Ctx,
    import_id: i64,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<Option<Batch>, WorkbookError> {
    let Some(first) = batches.recv().await else { return Ok(Some(Batch::default())) };
    let Some(second) = batches.recv().await else { return Ok(Some(first)) };
    let mut next = [first, second].into_iter();
    for seq in 0.. {
        let batch = match next.next() {
            Some(batch) => batch,
            None => match batches.recv().await {
                Some(batch) => batch,
                None => break,
            },
        };
        let body = tokio::task::spawn_blocking(move || serde_json::to_string(&batch)).await??;
        let tx = ctx.platform.db.write_tx_unhurried().await?;
        store::insert_batch(&tx, import_id, seq, &body).await?;
        tx.commit().await?;
    }
    Ok(None)
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

//! The writing of what was staged: one batch a transaction, with its rows and its counts, so that a restart
//! goes on where the last one stopped and nothing is inserted twice. While the database writes a batch, the next one
//! is read and decoded.

use platform::db::WriteTx;
use sea_orm::DbErr;

use super::{
    rules::Batch,
    service::{WorkbookError, finish, write},
    store,
};
use crate::{
    app::Ctx,
    entities::white_list_import::Model,
    whitelist::store::{Turn, await_turn},
};

/// A batch that was read before its turn. It stays in the table until it is written.
#[derive(Debug, Default)]
pub struct Ahead(Option<(i64, i32, Batch)>);

impl Ahead {
    async fn read(ctx: &Ctx, import_id: i64, seq: i32) -> Self {
        let body = store::read_batch(ctx.platform.db.conn(), import_id, seq).await.ok().flatten();
        // What cannot be read now is read, and complained about, at its turn.
        let batch = body.and_then(|body| serde_json::from_str(&body).ok());
        Self(batch.map(|batch| (import_id, seq, batch)))
    }

    /// The next batch of the import, out of the table; `None` when there is none.
    async fn or_take(self, tx: &WriteTx, import_id: i64) -> Result<Option<(i32, Batch)>, WorkbookError> {
        let mine = self.0.filter(|(import, ..)| *import == import_id);
        let known = mine.as_ref().map_or(-1, |(_, seq, _)| *seq);
        let Some(queued) = store::take_batch(tx, import_id, known).await? else { return Ok(None) };
        match mine {
            Some((_, seq, batch)) if seq == queued.seq => Ok(Some((seq, batch))),
            _ => Ok(Some((queued.seq, serde_json::from_str(&queued.body)?))),
        }
    }
}

/// Writes the next batch of the oldest running import that nobody else works on; false when there is none.
/// What cannot be written fails its import, so that the others go on.
pub async fn advance(ctx: &Ctx, ahead: &mut Ahead) -> Result<bool, WorkbookError> {
    let tx = ctx.platform.db.write_tx().await?;
    let Some(mut import) = store::next_running(&tx).await? else { return Ok(false) };
    let id = import.id;
    match advance_one(ctx, &tx, &mut import, ahead).await {
        Ok(()) => {
            let ended = import.state != "running";
            store::update(&tx, import).await?;
            if !ended {
                // Lost in a crash, the batch is there again; who reads that the import is done needs all of it.
                tx.unhurried().await?;
            }
            tx.commit().await?;
            if ended {
                ctx.untold.notify_one();
            }
            Ok(true)
        }
        Err(WorkbookError::Db(e)) if platform::db::is_transient(&e) => Err(e.into()),
        Err(e) => {
            tracing::error!(import = id, error = %e, "an import failed; what it had written stays");
            tx.rollback().await?;
            fail(ctx, id, "内部错误 / internal error").await?;
            Ok(true)
        }
    }
}

async fn advance_one(
    ctx: &Ctx,
    tx: &WriteTx,
    import: &mut Model,
    ahead: &mut Ahead,
) -> Result<(), WorkbookError> {
    let now = ctx.platform.clock.now_ms();
    let import_id = import.id;
    let Some((seq, batch)) = std::mem::take(ahead).or_take(tx, import_id).await? else {
        finish(import, now);
        return Ok(());
    };
    if await_turn(tx, import.report_id).await? != Turn::Mine {
        return Ok(give_up(tx, import, "报告已删除 / the report was deleted", now).await?);
    }
    let (written, next) = tokio::join!(write(ctx, tx, import, batch), Ahead::read(ctx, import_id, seq + 1));
    *ahead = next;
    written?;
    if store::counts(import).total() == import.row_count {
        finish(import, now);
    }
    Ok(())
}

async fn give_up(tx: &WriteTx, import: &mut Model, reason: &str, now: i64) -> Result<(), DbErr> {
    store::drop_batches(tx, import.id).await?;
    import.state = "failed".into();
    reason.clone_into(&mut import.reason);
    import.finished_at = now;
    Ok(())
}

async fn fail(ctx: &Ctx, id: i64, reason: &str) -> Result<(), WorkbookError> {
    let tx = ctx.platform.db.write_tx().await?;
    let Some(mut import) = store::next_running(&tx).await?.filter(|i| i.id == id) else { return Ok(()) };
    give_up(&tx, &mut import, reason, ctx.platform.clock.now_ms()).await?;
    store::update(&tx, import).await?;
    tx.commit().await?;
    Ok(())
}

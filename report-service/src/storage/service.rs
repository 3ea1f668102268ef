//! Copying report files to the private bucket. No network inside a transaction.

use platform::audit::{self, Change, Who};
use sea_orm::DbErr;
use serde_json::json;

use super::{CopyError, StorageError, rules, store};
use crate::app::Ctx;

/// Reports looked at at a time.
const PAGE: u64 = 100;

/// Copies these keys; a file that lies there already is refused unless `force`.
pub async fn copy_keys(ctx: &Ctx, who: &Who, keys: &[String], force: bool) -> Result<(), StorageError> {
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    let mut failed = None;
    for key in keys {
        match ctx.storage.copy(key, force, ctx.platform.clock.now_ms()).await {
            Ok(()) => done.push(key.clone()),
            Err(StorageError::Copy(CopyError::NotFound)) => missing.push(key.clone()),
            Err(e) => {
                failed = Some(if matches!(e, StorageError::Copy(CopyError::Exists)) {
                    StorageError::Exists(key.clone())
                } else {
                    e
                });
                break;
            }
        }
    }
    // What was copied is noted whatever came after it.
    mark(ctx, who, &done).await?;
    match failed {
        Some(e) => Err(e),
        None if missing.is_empty() => Ok(()),
        None => Err(StorageError::Missing(missing)),
    }
}

/// Copies every report file that is not in the private bucket yet; files that lie elsewhere are not ours.
pub async fn copy_all(ctx: &Ctx, who: &Who, force: bool) -> Result<(), StorageError> {
    let (mut after, mut missing) = (0, Vec::new());
    loop {
        let page = store::not_copied(ctx.platform.db.conn(), after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let (mut done, mut failed) = (Vec::new(), None);
        for (_, src) in page {
            let Some(key) = rules::key_of(&src, &ctx.storage.0.public_base) else { continue };
            match ctx.storage.copy(&key, force, ctx.platform.clock.now_ms()).await {
                Ok(()) | Err(StorageError::Copy(CopyError::Exists)) => done.push(src),
                Err(StorageError::Copy(CopyError::NotFound)) => missing.push(key),
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        mark(ctx, who, &done).await?;
        if let Some(e) = failed {
            return Err(e);
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(StorageError::Missing(missing)) }
}

async fn mark(ctx: &Ctx, who: &Who, srcs: &[String]) -> Result<(), DbErr> {
    if srcs.is_empty() {
        return Ok(());
    }
    let tx = ctx.platform.db.write_tx().await?;
    store::mark_copied(&tx, srcs, ctx.platform.clock.now_ms()).await?;
    let change = Change::new("storage.copy", "storage", "").after(&json!({"key": srcs}));
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await
}

//! Large imports, batch by batch, the telling of what they brought, and the forgetting of old refused rows.

use std::{sync::Arc, time::Duration};

use platform::lifecycle::{Turn, Worker};
use sea_orm::DbErr;
use tokio::sync::Mutex;

use super::{
    service::WorkbookError,
    service_job::{self, Ahead},
    service_read, service_tell, store,
};
use crate::app::Ctx;

/// Name of the worker that runs imports.
pub const IMPORTER: &str = "white-list-importer";
/// The net under the wake-up: another replica's uploads, and what a restart left.
const EVERY: Duration = Duration::from_secs(1);
/// Refused rows can be fetched this long.
const KEEP_ERRORS_MS: i64 = 30 * 86_400_000;

/// The worker that runs imports; an upload wakes it.
pub fn importer(ctx: &Ctx) -> Worker {
    let wake = Arc::clone(&ctx.imports);
    let (ctx, ahead) = (ctx.clone(), Arc::new(Mutex::new(Ahead::default())));
    Worker::job(IMPORTER, EVERY, Some(wake), move || {
        let (ctx, ahead) = (ctx.clone(), Arc::clone(&ahead));
        async move { run_once(&ctx, &mut *ahead.lock().await).await }
    })
}

/// Writes one batch of one import.
pub async fn run_once(ctx: &Ctx, ahead: &mut Ahead) -> Result<Turn, WorkbookError> {
    let (imports, rows_left) = store::running(ctx.platform.db.conn()).await?;
    metrics::gauge!("report_imports_running").set(imports as f64);
    metrics::gauge!("report_import_rows_left").set(rows_left as f64);
    if imports == 0 {
        return Ok(Turn::Idle);
    }
    Ok(if service_job::advance(ctx, ahead).await? { Turn::Done } else { Turn::Idle })
}

/// The worker that tells of what imports brought; an import that ends wakes it.
pub fn teller(ctx: &Ctx) -> Worker {
    let wake = Arc::clone(&ctx.untold);
    let ctx = ctx.clone();
    Worker::job("white-list-teller", EVERY, Some(wake), move || {
        let ctx = ctx.clone();
        async move {
            let imports = store::untold(ctx.platform.db.conn()).await?;
            metrics::gauge!("report_imports_untold").set(imports as f64);
            let told = imports > 0 && service_tell::tell_next(&ctx).await?;
            Ok::<_, DbErr>(if told { Turn::Done } else { Turn::Idle })
        }
    })
}

/// The worker that forgets.
pub fn cleaner(ctx: &Ctx) -> Worker {
    let ctx = ctx.clone();
    Worker::job("white-list-import-cleaner", Duration::from_secs(3600), None, move || {
        let ctx = ctx.clone();
        async move { forget(&ctx).await }
    })
}

/// Forgets some refused rows that nobody fetched in time, and staged ones of files that never became an import.
pub async fn forget(ctx: &Ctx) -> Result<Turn, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let gone = store::purge(&tx, ctx.platform.clock.now_ms() - KEEP_ERRORS_MS).await?;
    tx.commit().await?;
    let orphans = service_read::forget_orphans(ctx).await?;
    Ok(if gone + orphans > 0 { Turn::Done } else { Turn::Idle })
}

//! Publishes scheduled reports when their time has come.

use std::time::Duration;

use platform::lifecycle::{Turn, Worker};
use sea_orm::DbErr;

use super::{service, store};
use crate::app::Ctx;

/// Name of the worker.
pub const PUBLISHER: &str = "report-publisher";
/// How late a report is published at the most, while the service is up.
const EVERY: Duration = Duration::from_secs(1);
/// Reports of one turn.
const BATCH: i64 = 100;

/// The worker that publishes.
pub fn publisher(ctx: &Ctx) -> Worker {
    let ctx = ctx.clone();
    Worker::job(PUBLISHER, EVERY, None, move || {
        let ctx = ctx.clone();
        async move { run_once(&ctx).await }
    })
}

/// Publishes what is due, however long ago it became so; each report once, also with several replicas.
pub async fn run_once(ctx: &Ctx) -> Result<Turn, DbErr> {
    let now = ctx.platform.clock.now_ms();
    if !store::any_due(ctx.platform.db.conn(), now).await? {
        return Ok(Turn::Idle);
    }
    let tx = ctx.platform.db.write_tx().await?;
    let published = service::publish_due(ctx, &tx, BATCH).await?;
    if published == 0 {
        return Ok(Turn::Idle);
    }
    tx.commit().await?;
    tracing::info!(reports = published, "scheduled reports published");
    Ok(Turn::Done)
}

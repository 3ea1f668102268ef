use std::time::Duration;

use platform::lifecycle::{Turn, Worker};

use super::{hand_out::BATCH_KEEP_MS, lease, service::SupplierError, store};
use crate::app::Ctx;

/// Orders given back in one transaction.
const BATCH: u64 = 200;
/// One probe of an index: cheap enough to be this punctual.
const EVERY: Duration = Duration::from_secs(1);
const PURGE_EVERY: Duration = Duration::from_secs(600);
const PURGE_BATCH: u64 = 1000;

/// Gives back what silent suppliers hold.
pub async fn expire_leases(ctx: &Ctx) -> Result<Turn, SupplierError> {
    if !store::any_lease_over(&ctx.platform.db, ctx.platform.clock.now_ms()).await? {
        return Ok(Turn::Idle);
    }
    Ok(if lease::expire(ctx, BATCH).await? > 0 { Turn::Done } else { Turn::Idle })
}

/// Forgets batch numbers that bring nothing any more.
pub async fn purge_batches(ctx: &Ctx) -> Result<Turn, SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let before = ctx.platform.clock.now_ms() - 2 * BATCH_KEEP_MS;
    let purged = store::purge_batches(&tx, before, PURGE_BATCH).await?;
    tx.commit().await?;
    Ok(if purged == PURGE_BATCH { Turn::Done } else { Turn::Idle })
}

/// The workers of this feature.
pub fn workers(ctx: &Ctx) -> Vec<Worker> {
    let (leases, purge) = (ctx.clone(), ctx.clone());
    vec![
        Worker::job("lease-expiry", EVERY, None, move || {
            let ctx = leases.clone();
            async move { expire_leases(&ctx).await }
        }),
        Worker::job("supplier-batch-purge", PURGE_EVERY, None, move || {
            let ctx = purge.clone();
            async move { purge_batches(&ctx).await }
        }),
    ]
}

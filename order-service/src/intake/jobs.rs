use std::time::Duration;

use platform::lifecycle::{Turn, Worker};

use crate::{app::Ctx, lifecycle::LifecycleError};

/// Orders ended in one transaction.
const BATCH: u64 = 200;
/// One probe of an index: cheap enough to be this punctual.
const EVERY: Duration = Duration::from_secs(1);

/// Ends a batch of the unpaid orders whose time is over. Each ends once: the row is moved under a lock, and
/// what became due while nobody ran is found by the first that does.
pub async fn run_once(ctx: &Ctx) -> Result<Turn, LifecycleError> {
    if !super::store::any_due(&ctx.platform.db, ctx.platform.clock.now_ms()).await? {
        return Ok(Turn::Idle);
    }
    let tx = ctx.platform.db.write_tx().await?;
    let ended = ctx.lifecycle.expire_due(&tx, BATCH).await?;
    tx.commit().await?;
    Ok(if ended > 0 { Turn::Done } else { Turn::Idle })
}

/// The worker that ends unpaid orders in time.
pub fn timeouts(ctx: Ctx) -> Worker {
    Worker::job("order-timeouts", EVERY, None, move || {
        let ctx = ctx.clone();
        async move { run_once(&ctx).await }
    })
}

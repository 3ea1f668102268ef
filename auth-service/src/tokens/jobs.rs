use platform::lifecycle::Turn;
use sea_orm::DbErr;

use super::store;
use crate::app::Ctx;

/// Dead tokens forgotten in one turn.
const BATCH: i64 = 1000;

/// Forgets dead tokens that would have expired by now anyway. The policy's version stays: no gateway lets them in.
pub async fn purge(ctx: &Ctx) -> Result<Turn, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let purged = store::purge(&tx, ctx.platform.clock.now_s(), BATCH).await?;
    tx.commit().await?;
    Ok(if purged > 0 { Turn::Done } else { Turn::Idle })
}

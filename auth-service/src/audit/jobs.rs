//! Forgetting of entries after the time that the house sets; none is set by default.

use platform::{clock::Clock, db::Db, lifecycle::Turn};
use sea_orm::DbErr;

use super::store;

/// Entries forgotten in one turn, oldest first.
const BATCH: u64 = 1000;
const DAY_MS: i64 = 86_400_000;

/// Forgets entries whose change is more than `keep_days` ago; 0 keeps all of them.
///
/// # Errors
/// The database is away.
pub async fn forget(db: &Db, clock: &Clock, keep_days: u32) -> Result<Turn, DbErr> {
    if keep_days == 0 {
        return Ok(Turn::Idle);
    }
    let tx = db.write_tx().await?;
    let gone = store::forget(&tx, clock.now_ms() - i64::from(keep_days) * DAY_MS, BATCH).await?;
    tx.commit().await?;
    Ok(if gone == BATCH { Turn::Done } else { Turn::Idle })
}

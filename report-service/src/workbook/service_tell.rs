//! What an import has brought is told to others once all of it is in: whoever waits for the import is not kept by those
//! who follow it (ADR 10). A restart goes on with the telling where the last one stopped.
//!
//! Told is what stands there then. An entry that was changed or removed before its turn has told so itself, under a
//! higher version, which its readers keep whatever comes later.

use sea_orm::DbErr;

use super::store;
use crate::{app::Ctx, entities::white_list_import::Model, whitelist};
use platform::db::WriteTx;

/// Entries told of in one transaction.
const TOLD_AT_ONCE: usize = 5_000;

/// Tells of the next entries of an import in the caller's transaction; false when there were no more.
pub(super) async fn tell(ctx: &Ctx, tx: &WriteTx, import: &mut Model) -> Result<bool, DbErr> {
    let entries = store::untold_entries(tx, import, TOLD_AT_ONCE).await?;
    import.untold_from = entries.last().map_or(0, |last| last.id + 1);
    let changes = entries.iter().map(|entry| whitelist::service::changed(entry, false)).collect();
    whitelist::service::announce(&ctx.platform, tx, changes).await?;
    Ok(import.untold_from > 0)
}

/// Tells of the next entries of the oldest import that has ended; false when there is none.
pub async fn tell_next(ctx: &Ctx) -> Result<bool, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let Some(mut import) = store::next_untold(&tx).await? else { return Ok(false) };
    tell(ctx, &tx, &mut import).await?;
    store::update(&tx, import).await?;
    tx.commit().await?;
    Ok(true)
}

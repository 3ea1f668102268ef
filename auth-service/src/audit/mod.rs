//! Who did what, before and after (`spec/management-api.md`): one entry per change. Changes of this service are
//! written in their own transaction by [`record`]; those of the others come as `audit.recorded`, each once.
//!
//! Entries are never changed, are kept for ever unless `auth.audit_keep_days` says otherwise, and are listed by when
//! the change happened, also when its event came late. Logins are not changes and stand in the account (`last_login_at`) and in the metrics.
//!
//! Route: `/api/audit`.

pub mod events;
pub mod http;
pub mod jobs;
mod rules;
mod store;

pub use platform::audit::{Change, Who};
use platform::db::WriteTx;
use sea_orm::DbErr;

use crate::app::Ctx;

/// Adds the entry to the transaction of the change.
pub async fn record(ctx: &Ctx, tx: &WriteTx, who: &Who, change: Change) -> Result<(), DbErr> {
    let row = rules::entry(ctx.platform.ids.next(), ctx.platform.clock.now_ms(), who.clone(), change);
    store::insert(tx, &[row]).await
}

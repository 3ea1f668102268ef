use contracts::events::DistributorChanged;
use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, DbErr, SqlErr};

use super::{http::DistributorRow, store};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
    entities::distributor::{ActiveModel, Model},
    partners,
    wire::name_key,
};

/// Why a distributor is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DistributorError {
    #[error("no such distributor")]
    NotFound,
    #[error("no partner {0}")]
    NoSuchPartner(i64),
    #[error("the partner has a distributor of this name")]
    NameTaken,
    #[error(transparent)]
    Db(DbErr),
}

impl From<DbErr> for DistributorError {
    fn from(e: DbErr) -> Self {
        match e.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::NameTaken,
            _ => Self::Db(e),
        }
    }
}

/// What to change; absent = unchanged.
#[derive(Debug, Default)]
pub struct DistributorChange {
    pub name: Option<String>,
    pub enabled: Option<bool>,
}

/// Makes a distributor of a partner.
///
/// # Errors
/// There is no such partner; it has a distributor of this name.
pub async fn add(
    ctx: &Ctx,
    who: &Who,
    partner_id: i64,
    name: String,
    enabled: bool,
) -> Result<i64, DistributorError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let partner = partners::store::for_update(&tx, partner_id).await?;
    partner.ok_or(DistributorError::NoSuchPartner(partner_id))?;
    let row = ActiveModel {
        partner_id: Set(partner_id),
        name_key: Set(Some(name_key(&name))),
        name: Set(name),
        enabled: Set(enabled),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(0),
        ..Default::default()
    };
    let row = store::insert(&tx, row).await?;
    let id = row.id;
    announce(ctx, &tx, &row).await?;
    let change = Change::new("distributor.add", "distributor", id).after(&DistributorRow::from(row));
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(id)
}

/// Changes a distributor.
///
/// # Errors
/// There is none; the partner has another of this name.
pub async fn modify(
    ctx: &Ctx,
    who: &Who,
    id: i64,
    change: DistributorChange,
) -> Result<(), DistributorError> {
    let tx = ctx.platform.db.write_tx().await?;
    let before = store::for_update(&tx, id).await?.ok_or(DistributorError::NotFound)?;
    let mut row = before.clone();
    if let Some(name) = change.name {
        row.name_key = Some(name_key(&name));
        row.name = name;
    }
    if let Some(enabled) = change.enabled {
        row.enabled = enabled;
    }
    row.version += 1;
    row.updated_at = ctx.platform.clock.now_ms();
    store::save(&tx, row.clone()).await?;
    announce(ctx, &tx, &row).await?;
    let change = Change::new("distributor.modify", "distributor", id)
        .before(&DistributorRow::from(before))
        .after(&DistributorRow::from(row));
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes a distributor; its orders stay.
///
/// # Errors
/// There is none.
pub async fn remove(ctx: &Ctx, who: &Who, id: i64) -> Result<(), DistributorError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let before = store::for_update(&tx, id).await?.ok_or(DistributorError::NotFound)?;
    let row = Model {
        name_key: None,
        enabled: false,
        version: before.version + 1,
        updated_at: now,
        deleted_at: now,
        ..before.clone()
    };
    store::save(&tx, row.clone()).await?;
    announce(ctx, &tx, &row).await?;
    let change = Change::new("distributor.delete", "distributor", id).before(&DistributorRow::from(before));
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

async fn announce(ctx: &Ctx, tx: &WriteTx, row: &Model) -> Result<(), DbErr> {
    let changed = DistributorChanged {
        id: row.id,
        version: row.version,
        partner_id: row.partner_id,
        name: row.name.clone(),
        enabled: row.enabled,
        deleted: row.deleted_at != 0,
    };
    ctx.platform.outbox.append(tx, row.id.to_string(), &changed).await.map(|_| ())
}

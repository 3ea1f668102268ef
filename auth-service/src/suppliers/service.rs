use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, DbErr, SqlErr};

use super::{http::SupplierRow, store};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
    entities::supplier::{ActiveModel, Model},
    keys::{self, rules::Owner},
    wire::name_key,
};

/// Why a supplier is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SupplierError {
    #[error("no such supplier")]
    NotFound,
    #[error("the supplier's name is taken")]
    NameTaken,
    #[error(transparent)]
    Db(DbErr),
}

impl From<DbErr> for SupplierError {
    fn from(e: DbErr) -> Self {
        match e.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::NameTaken,
            _ => Self::Db(e),
        }
    }
}

/// What a supplier is to be; absent = unchanged (or the default, when it is made).
#[derive(Debug, Default)]
pub struct SupplierChange {
    pub name: Option<String>,
    pub contact: Option<String>,
    pub remark: Option<String>,
    pub enabled: Option<bool>,
}

/// Makes a supplier.
///
/// # Errors
/// The name is taken.
pub async fn add(ctx: &Ctx, who: &Who, new: SupplierChange) -> Result<i64, SupplierError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let name = new.name.unwrap_or_default();
    let row = ActiveModel {
        name_key: Set(Some(name_key(&name))),
        name: Set(name),
        contact: Set(new.contact.unwrap_or_default()),
        remark: Set(new.remark.unwrap_or_default()),
        enabled: Set(new.enabled.unwrap_or(true)),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(0),
        ..Default::default()
    };
    let row = store::insert(&tx, row).await?;
    let id = row.id;
    let change = Change::new("supplier.add", "supplier", id).after(&SupplierRow::new(row, 0));
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(id)
}

/// Changes a supplier; its keys follow its name and status.
///
/// # Errors
/// There is none; the name is taken.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, change: SupplierChange) -> Result<(), SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let before = store::for_update(&tx, id).await?.ok_or(SupplierError::NotFound)?;
    let mut row = before.clone();
    if let Some(name) = change.name {
        row.name_key = Some(name_key(&name));
        row.name = name;
    }
    if let Some(contact) = change.contact {
        row.contact = contact;
    }
    if let Some(remark) = change.remark {
        row.remark = remark;
    }
    if let Some(enabled) = change.enabled {
        row.enabled = enabled;
    }
    row.updated_at = ctx.platform.clock.now_ms();
    store::save(&tx, row.clone()).await?;
    if (row.enabled, &row.name) != (before.enabled, &before.name) {
        keys::service::announce_all(ctx, &tx, Owner::Supplier(id)).await?;
    }
    let change = Change::new("supplier.modify", "supplier", id)
        .before(&view(ctx, &tx, before).await?)
        .after(&view(ctx, &tx, row).await?);
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes a supplier: its keys end, its name can be used again.
///
/// # Errors
/// There is none.
pub async fn remove(ctx: &Ctx, who: &Who, id: i64) -> Result<(), SupplierError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let before = store::for_update(&tx, id).await?.ok_or(SupplierError::NotFound)?;
    let change =
        Change::new("supplier.delete", "supplier", id).before(&view(ctx, &tx, before.clone()).await?);
    let row = Model { name_key: None, enabled: false, updated_at: now, deleted_at: now, ..before };
    let name = row.name.clone();
    store::save(&tx, row).await?;
    keys::service::revoke_all(ctx, &tx, Owner::Supplier(id), &name).await?;
    audit::record(ctx, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

/// The supplier as the API shows it.
async fn view(ctx: &Ctx, tx: &WriteTx, row: Model) -> Result<SupplierRow, DbErr> {
    let keys = keys::store::live_of(tx, "supplier", &[row.id], ctx.platform.clock.now_ms()).await?;
    let live = keys.get(&row.id).copied().unwrap_or_default();
    Ok(SupplierRow::new(row, live))
}

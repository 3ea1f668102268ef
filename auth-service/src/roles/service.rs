use std::collections::HashSet;

use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, DbErr, SqlErr};

use super::{http::RoleRow, store};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
    entities::role::{ActiveModel, Model},
    policy::{self, service::PolicyError},
    wire::name_key,
};

/// Why a role is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    #[error("no such role")]
    NotFound,
    #[error("the role's name is taken")]
    NameTaken,
    #[error("the built-in role stays")]
    Builtin,
    #[error("{0} accounts hold the role")]
    InUse(i64),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Db(DbErr),
}

impl From<DbErr> for RoleError {
    fn from(e: DbErr) -> Self {
        match e.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::NameTaken,
            _ => Self::Db(e),
        }
    }
}

/// What a role is to be; absent = unchanged.
#[derive(Debug, Default)]
pub struct RoleChange {
    pub name: Option<String>,
    pub remark: Option<String>,
    pub permissions: Option<Vec<String>>,
}

/// Makes a role.
///
/// # Errors
/// The name is taken; a permission is not registered, or beyond the caller.
pub async fn add(ctx: &Ctx, who: &Who, new: RoleChange) -> Result<i64, RoleError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let name = new.name.unwrap_or_default();
    let row = ActiveModel {
        name_key: Set(name_key(&name)),
        name: Set(name),
        remark: Set(new.remark.unwrap_or_default()),
        builtin: Set(false),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = store::insert(&tx, row).await?;
    let id = row.id;
    set_permissions(&tx, who, id, &[], &new.permissions.unwrap_or_default()).await?;
    let after = view(&tx, row).await?;
    audit::record(ctx, &tx, who, Change::new("role.add", "role", id).after(&after)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(id)
}

/// Changes a role.
///
/// # Errors
/// As [`add`]; nobody would be left to administer.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, change: RoleChange) -> Result<(), RoleError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let mut row = store::by_id(&tx, id).await?.ok_or(RoleError::NotFound)?;
    let before = view(&tx, row.clone()).await?;
    if let Some(name) = change.name {
        row.name_key = name_key(&name);
        row.name = name;
    }
    if let Some(remark) = change.remark {
        row.remark = remark;
    }
    row.updated_at = ctx.platform.clock.now_ms();
    store::save(&tx, row.clone()).await?;
    if let Some(permissions) = &change.permissions {
        set_permissions(&tx, who, id, &before.permissions, permissions).await?;
    }
    let after = view(&tx, row).await?;
    let change = Change::new("role.modify", "role", id).before(&before).after(&after);
    audit::record(ctx, &tx, who, change).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes a role nobody holds.
///
/// # Errors
/// There is none, it is built in, accounts hold it.
pub async fn remove(ctx: &Ctx, who: &Who, id: i64) -> Result<(), RoleError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let row = store::by_id(&tx, id).await?.ok_or(RoleError::NotFound)?;
    if row.builtin {
        return Err(RoleError::Builtin);
    }
    let before = view(&tx, row).await?;
    if before.account_count > 0 {
        return Err(RoleError::InUse(before.account_count));
    }
    store::delete(&tx, id).await?;
    audit::record(ctx, &tx, who, Change::new("role.delete", "role", id).before(&before)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// The role holds `wanted` from now on. All must be registered, and `who` may give those beyond `held`.
async fn set_permissions(
    tx: &WriteTx,
    who: &Who,
    id: i64,
    held: &[String],
    wanted: &[String],
) -> Result<(), RoleError> {
    let registered: HashSet<String> = policy::store::registered(tx).await?.into_iter().collect();
    if let Some(unknown) = wanted.iter().find(|name| !registered.contains(*name)) {
        return Err(PolicyError::Unregistered(unknown.clone()).into());
    }
    let given: HashSet<String> = wanted.iter().filter(|name| !held.contains(name)).cloned().collect();
    policy::service::may_give(tx, who, &given).await?;
    store::clear(tx, id).await?;
    policy::store::grant(tx, id, wanted).await?;
    Ok(())
}

/// The role as the API shows it.
async fn view(tx: &WriteTx, row: Model) -> Result<RoleRow, DbErr> {
    let permissions = store::permissions(tx, &[row.id]).await?.remove(&row.id).unwrap_or_default();
    let holders = store::holders(tx, &[row.id]).await?.remove(&row.id).unwrap_or_default();
    Ok(RoleRow::new(row, permissions, holders))
}

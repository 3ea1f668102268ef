use platform::db::WriteTx;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Statement, sea_query::Expr};

use crate::entities::goods::{self, Column};

/// Keeps the newest list of a partner's goods; answers the one before, `None` when a newer one is known.
pub(super) async fn replace_list(
    tx: &WriteTx,
    partner_id: i64,
    version: i64,
    goods_ids: &[i64],
) -> Result<Option<Vec<i64>>, DbErr> {
    let backend = tx.get_database_backend();
    let find = "SELECT version, goods_ids FROM partner_goods WHERE partner_id = $1";
    let known = tx.query_one_raw(Statement::from_sql_and_values(backend, find, [partner_id.into()])).await?;
    let mut before = Vec::new();
    if let Some(row) = known {
        if row.try_get::<i64>("", "version")? >= version {
            return Ok(None);
        }
        before = serde_json::from_str(&row.try_get::<String>("", "goods_ids")?).unwrap_or_default();
    }
    let keep = "INSERT INTO partner_goods (partner_id, version, goods_ids) VALUES ($1, $2, $3)
        ON CONFLICT (partner_id) DO UPDATE SET version = excluded.version, goods_ids = excluded.goods_ids";
    let list = serde_json::Value::from(goods_ids).to_string();
    let values = [partner_id.into(), version.into(), list.into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, keep, values)).await?;
    Ok(Some(before))
}

pub(super) async fn give(tx: &WriteTx, goods_ids: &[i64], partner_id: i64, now: i64) -> Result<(), DbErr> {
    set_partner(tx, goods_ids, None, partner_id, now).await
}

/// Only what is still this partner's: another may have got it meanwhile.
pub(super) async fn take_back(
    tx: &WriteTx,
    goods_ids: &[i64],
    partner_id: i64,
    now: i64,
) -> Result<(), DbErr> {
    set_partner(tx, goods_ids, Some(partner_id), 0, now).await
}

async fn set_partner(
    tx: &WriteTx,
    ids: &[i64],
    only_of: Option<i64>,
    to: i64,
    now: i64,
) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = goods::Entity::update_many()
        .col_expr(Column::PartnerId, Expr::val(to))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.is_in(ids.iter().copied()));
    if let Some(owner) = only_of {
        update = update.filter(Column::PartnerId.eq(owner));
    }
    update.exec(tx).await.map(|_| ())
}

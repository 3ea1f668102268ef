use std::collections::HashMap;

use platform::db::{self, WriteTx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Statement, sea_query::Expr,
};

use super::rules::Owner;
use crate::{
    entities::api_key::{ActiveModel, Column, Entity, Model},
    wire::Paging,
};

/// The owner's key, locked until the transaction ends.
pub async fn for_update(tx: &WriteTx, owner: Owner, id: i64) -> Result<Option<Model>, DbErr> {
    of(owner).filter(Column::Id.eq(id)).lock_exclusive().one(tx).await
}

fn of(owner: Owner) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::OwnerKind.eq(owner.kind())).filter(Column::OwnerId.eq(owner.id()))
}

/// One page of the owner's keys, oldest first, and how many there are in all.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    owner: Owner,
    paging: Paging,
) -> Result<(Vec<Model>, u64), DbErr> {
    let query = of(owner);
    let total = query.clone().count(conn).await?;
    let rows = query.order_by_asc(Column::Id).offset(paging.offset()).limit(paging.limit).all(conn).await?;
    Ok((rows, total))
}

/// Keys of the owner that are neither revoked nor expired at `now`.
pub async fn count_live<C: ConnectionTrait>(conn: &C, owner: Owner, now: i64) -> Result<u64, DbErr> {
    of(owner)
        .filter(Column::Enabled.eq(true))
        .filter(Column::ExpiresAt.eq(0).or(Column::ExpiresAt.gt(now)))
        .count(conn)
        .await
}

/// How many keys of these owners, all of `kind`, are neither revoked nor expired at `now`.
pub async fn live_of<C: ConnectionTrait>(
    conn: &C,
    kind: &str,
    owner_ids: &[i64],
    now: i64,
) -> Result<HashMap<i64, i64>, DbErr> {
    let counts: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .column(Column::OwnerId)
        .column_as(Column::Id.count(), "live")
        .filter(Column::OwnerKind.eq(kind))
        .filter(Column::OwnerId.is_in(owner_ids.iter().copied()))
        .filter(Column::Enabled.eq(true))
        .filter(Column::ExpiresAt.eq(0).or(Column::ExpiresAt.gt(now)))
        .group_by(Column::OwnerId)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Is there a younger key of the same chain of rotations?
pub async fn has_successor<C: ConnectionTrait>(conn: &C, row: &Model) -> Result<bool, DbErr> {
    let root = if row.root_id == 0 { row.id } else { row.root_id };
    Ok(of(Owner::of(row)).filter(Column::RootId.eq(root)).filter(Column::Id.gt(row.id)).count(conn).await?
        > 0)
}

pub async fn insert(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    Entity::insert(row).exec_with_returning(tx).await
}

/// Writes the whole row, but for what `key.used` writes.
pub async fn save(tx: &WriteTx, row: Model) -> Result<(), DbErr> {
    let mut row = row.into_active_model().reset_all();
    row.last_used_at = sea_orm::ActiveValue::NotSet;
    row.last_md5_at = sea_orm::ActiveValue::NotSet;
    Entity::update(row).exec(tx).await.map(|_| ())
}

/// Raises the version of the owner's keys that are not revoked; answers them.
pub async fn next_versions(tx: &WriteTx, owner: Owner) -> Result<Vec<Model>, DbErr> {
    not_revoked(owner).exec_with_returning(tx).await
}

/// Revokes all keys of the owner; answers those that were not yet.
pub async fn revoke_all(tx: &WriteTx, owner: Owner, now: i64) -> Result<Vec<Model>, DbErr> {
    not_revoked(owner)
        .col_expr(Column::Enabled, false.into())
        .col_expr(Column::UpdatedAt, now.into())
        .exec_with_returning(tx)
        .await
}

fn not_revoked(owner: Owner) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::OwnerKind.eq(owner.kind()))
        .filter(Column::OwnerId.eq(owner.id()))
        .filter(Column::Enabled.eq(true))
}

/// Notes uses: (key id, last use, last use with md5), unix milliseconds. Earlier ones than known change nothing.
pub async fn note_used(tx: &WriteTx, uses: &[(i64, i64, i64)]) -> Result<(), DbErr> {
    let uses = serde_json::to_string(uses).map_err(|e| DbErr::Custom(e.to_string()))?;
    let (backend, sql) = db::dialect(
        tx,
        "UPDATE api_key SET last_used_at = GREATEST(last_used_at, u.used), last_md5_at = GREATEST(last_md5_at, u.md5)
            FROM (SELECT (e->>0)::bigint AS id, (e->>1)::bigint AS used, (e->>2)::bigint AS md5
                  FROM json_array_elements($1::json) AS e) AS u
            WHERE api_key.id = u.id",
        "UPDATE api_key SET last_used_at = MAX(last_used_at, u.used), last_md5_at = MAX(last_md5_at, u.md5)
            FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS used,
                         json_extract(value, '$[2]') AS md5 FROM json_each($1)) AS u
            WHERE api_key.id = u.id",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [uses.into()])).await.map(|_| ())
}

/// `row` as one that is not there yet: the database numbers it.
pub fn new_row(row: Model) -> ActiveModel {
    ActiveModel { id: NotSet, ..row.into_active_model().reset_all() }
}

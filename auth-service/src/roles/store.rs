use std::collections::HashMap;

use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};

use crate::{
    accounts::store::contains,
    entities::{
        account_role,
        role::{ActiveModel, Column, Entity, Model},
        role_permission,
    },
    wire::Paging,
};

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(conn).await
}

/// The role that gets every new permission.
pub async fn builtin<C: ConnectionTrait>(conn: &C) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Builtin.eq(true)).order_by_asc(Column::Id).one(conn).await
}

/// One page, oldest first, and how many there are in all.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    search: Option<&str>,
    paging: Paging,
) -> Result<(Vec<Model>, u64), DbErr> {
    let mut query = Entity::find();
    if let Some(search) = search {
        let like = contains(search);
        let found = Condition::any()
            .add(Expr::col(Column::NameKey).like(like.clone()))
            .add(Func::lower(Expr::col(Column::Remark)).like(like));
        query = query.filter(found);
    }
    let total = query.clone().count(conn).await?;
    let rows = query.order_by_asc(Column::Id).offset(paging.offset()).limit(paging.limit).all(conn).await?;
    Ok((rows, total))
}

/// What each of these roles holds, sorted.
pub async fn permissions<C: ConnectionTrait>(
    conn: &C,
    role_ids: &[i64],
) -> Result<HashMap<i64, Vec<String>>, DbErr> {
    let rows = role_permission::Entity::find()
        .filter(role_permission::Column::RoleId.is_in(role_ids.iter().copied()))
        .order_by_asc(role_permission::Column::Permission)
        .all(conn)
        .await?;
    let mut held: HashMap<i64, Vec<String>> = HashMap::new();
    for row in rows {
        held.entry(row.role_id).or_default().push(row.permission);
    }
    Ok(held)
}

/// How many accounts hold each of these roles.
pub async fn holders<C: ConnectionTrait>(conn: &C, role_ids: &[i64]) -> Result<HashMap<i64, i64>, DbErr> {
    let counts: Vec<(i64, i64)> = account_role::Entity::find()
        .select_only()
        .column(account_role::Column::RoleId)
        .column_as(account_role::Column::AccountId.count(), "holders")
        .filter(account_role::Column::RoleId.is_in(role_ids.iter().copied()))
        .group_by(account_role::Column::RoleId)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(counts.into_iter().collect())
}

pub async fn insert(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    Entity::insert(row).exec_with_returning(tx).await
}

pub async fn save(tx: &WriteTx, row: Model) -> Result<(), DbErr> {
    Entity::update(row.into_active_model().reset_all()).exec(tx).await.map(|_| ())
}

/// The role holds nothing any more.
pub async fn clear(tx: &WriteTx, id: i64) -> Result<(), DbErr> {
    role_permission::Entity::delete_many()
        .filter(role_permission::Column::RoleId.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

pub async fn delete(tx: &WriteTx, id: i64) -> Result<(), DbErr> {
    Entity::delete_by_id(id).exec(tx).await.map(|_| ())
}

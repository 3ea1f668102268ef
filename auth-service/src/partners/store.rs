use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use crate::{
    accounts::store::contains,
    entities::partner::{ActiveModel, Column, Entity, Model},
    wire::Paging,
};

/// Which partners are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name.
    pub search: Option<String>,
    pub enabled: Option<bool>,
}

/// The partner, unless it was deleted.
pub async fn by_id<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).one(conn).await
}

/// The same, locked until the transaction ends.
pub async fn for_update(tx: &WriteTx, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).lock_exclusive().one(tx).await
}

/// One page, oldest first, and how many there are in all.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    filter: &Filter,
    paging: Paging,
) -> Result<(Vec<Model>, u64), DbErr> {
    let mut query = Entity::find().filter(Column::DeletedAt.eq(0));
    if let Some(search) = &filter.search {
        query = query.filter(Expr::col(Column::NameKey).like(contains(search)));
    }
    if let Some(enabled) = filter.enabled {
        query = query.filter(Column::Enabled.eq(enabled));
    }
    let total = query.clone().count(conn).await?;
    let rows = query.order_by_asc(Column::Id).offset(paging.offset()).limit(paging.limit).all(conn).await?;
    Ok((rows, total))
}

pub async fn insert(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    Entity::insert(row).exec_with_returning(tx).await
}

pub async fn save(tx: &WriteTx, row: Model) -> Result<(), DbErr> {
    Entity::update(row.into_active_model().reset_all()).exec(tx).await.map(|_| ())
}

/// Raises the row's version, deleted or not; answers the row.
pub async fn next_version(tx: &WriteTx, id: i64) -> Result<Option<Model>, DbErr> {
    let rows = Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .exec_with_returning(tx)
        .await?;
    Ok(rows.into_iter().next())
}

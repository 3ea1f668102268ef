use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};

use crate::{
    accounts::store::contains,
    entities::supplier::{ActiveModel, Column, Entity, Model},
    wire::Paging,
};

/// Which suppliers are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name or contact.
    pub search: Option<String>,
    pub enabled: Option<bool>,
}

/// The supplier, unless it was deleted.
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
        let like = contains(search);
        let found = Condition::any()
            .add(Expr::col(Column::NameKey).like(like.clone()))
            .add(Func::lower(Expr::col(Column::Contact)).like(like));
        query = query.filter(found);
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

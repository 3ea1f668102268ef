use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use crate::{
    accounts::store::contains,
    entities::distributor::{ActiveModel, Column, Entity, Model},
    wire::Paging,
};

/// Which distributors are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub partner_id: Option<i64>,
    /// Part of the name.
    pub search: Option<String>,
    pub enabled: Option<bool>,
}

/// The distributor, unless it was deleted.
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
    if let Some(partner_id) = filter.partner_id {
        query = query.filter(Column::PartnerId.eq(partner_id));
    }
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

/// Ends all distributors of a partner.
pub async fn delete_of_partner(tx: &WriteTx, partner_id: i64, now: i64) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DeletedAt, now.into())
        .col_expr(Column::UpdatedAt, now.into())
        .col_expr(Column::Enabled, false.into())
        .col_expr(Column::NameKey, Expr::val(None::<String>))
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::DeletedAt.eq(0))
        .exec(tx)
        .await
        .map(|_| ())
}

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entities::order_history;

/// Changes of an order after `seq`, oldest first.
///
/// # Errors
/// The database.
pub async fn history<C: ConnectionTrait>(
    conn: &C,
    order_id: i64,
    seq: i64,
    limit: u64,
) -> Result<Vec<order_history::Model>, DbErr> {
    order_history::Entity::find()
        .filter(order_history::Column::OrderId.eq(order_id))
        .filter(order_history::Column::Seq.gt(seq))
        .order_by_asc(order_history::Column::Seq)
        .limit(limit)
        .all(conn)
        .await
}

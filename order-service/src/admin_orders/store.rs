use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::entities::orders;

/// An order by its number.
///
/// # Errors
/// The database.
pub async fn by_number<C: ConnectionTrait>(conn: &C, number: &str) -> Result<Option<orders::Model>, DbErr> {
    orders::Entity::find().filter(orders::Column::Number.eq(number)).one(conn).await
}

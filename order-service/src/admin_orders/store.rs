use sea_orm::{ConnectionTrait, DbErr};

use crate::entities::orders;

/// An order by its number.
///
/// # Errors
/// The database.
pub async fn by_number<C: ConnectionTrait>(conn: &C, number: &str) -> Result<Option<orders::Model>, DbErr> {
    orders::numbered(number).one(conn).await
}

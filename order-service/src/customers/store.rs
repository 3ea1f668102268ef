use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, Statement,
};

use crate::entities::customer;

/// A customer by id.
///
/// # Errors
/// The database.
pub async fn find<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<customer::Model>, DbErr> {
    customer::Entity::find_by_id(id).one(conn).await
}

pub(super) async fn find_by_mobile<C: ConnectionTrait>(
    conn: &C,
    mobile: &str,
) -> Result<Option<customer::Model>, DbErr> {
    customer::Entity::find().filter(customer::Column::Mobile.eq(mobile)).one(conn).await
}

pub(super) async fn insert(tx: &WriteTx, row: customer::Model) -> Result<(), DbErr> {
    customer::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await.map(|_| ())
}

/// The customer of this mobile, made if there is none; an empty name or picture is filled in.
pub(super) async fn upsert(tx: &WriteTx, row: &customer::Model) -> Result<customer::Model, DbErr> {
    let sql = "INSERT INTO customer (id, mobile, nick_name, avatar, regist_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT (mobile) DO UPDATE SET
            nick_name = CASE WHEN customer.nick_name = '' THEN excluded.nick_name ELSE customer.nick_name END,
            avatar = CASE WHEN customer.avatar = '' THEN excluded.avatar ELSE customer.avatar END
        RETURNING *";
    let values = [
        row.id.into(),
        row.mobile.as_str().into(),
        row.nick_name.as_str().into(),
        row.avatar.as_str().into(),
        row.created_at.into(),
    ];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotInserted)?;
    customer::Model::from_query_result(&row, "")
}

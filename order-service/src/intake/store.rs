use platform::db::{Db, WriteTx};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, Statement};

use crate::entities::order_outer_id;

/// The next short number for suppliers. On SQLite the transaction is the only writer, so the largest is the last.
pub(super) async fn next_service_no(tx: &WriteTx) -> Result<i64, DbErr> {
    let backend = tx.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => "SELECT nextval('order_service_no') AS n",
        _ => "SELECT COALESCE(MAX(service_no), 0) + 1 AS n FROM orders WHERE service_no > 0",
    };
    let row = tx.query_one_raw(Statement::from_string(backend, sql)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("a service number".into()))?.try_get("", "n")
}

/// Number of the partner's order with this outer id.
pub(super) async fn by_outer_id<C: ConnectionTrait>(
    conn: &C,
    partner_id: i64,
    outer_id: &str,
) -> Result<Option<String>, DbErr> {
    let known = order_outer_id::Entity::find_by_id((partner_id, outer_id.to_owned())).one(conn).await?;
    Ok(known.map(|k| k.number))
}

/// Is any unpaid order past its end? One probe of `orders_due`, however many are open.
pub(super) async fn any_due(db: &Db, now: i64) -> Result<bool, DbErr> {
    let conn = db.keeping_plans();
    let sql = "SELECT 1 AS found FROM orders WHERE state = 1 AND expire_at > 0 AND expire_at <= $1
        ORDER BY expire_at LIMIT 1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [now.into()]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

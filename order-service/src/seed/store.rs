use platform::db::{self, Db, WriteTx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::entities::{customer, goods, orders};

/// Mobiles of made customers lie between these.
const MOBILES: (&str, &str) = ("19900000000", "199:");

pub(super) async fn oldest_order(db: &Db) -> Result<Option<i64>, DbErr> {
    let query =
        orders::Entity::find().select_only().column(orders::Column::Id).order_by_asc(orders::Column::Id);
    query.limit(1).into_tuple().one(db.conn()).await
}

/// Goods that are not deleted: those named, or all that are on sale.
pub(super) async fn goods(db: &Db, ids: &[i64]) -> Result<Vec<goods::Model>, DbErr> {
    let query = goods::Entity::find().filter(goods::Column::DeletedAt.eq(0)).order_by_asc(goods::Column::Id);
    let query = if ids.is_empty() {
        query.filter(goods::Column::Status.eq(1)).limit(1000)
    } else {
        query.filter(goods::Column::Id.is_in(ids.iter().copied()))
    };
    query.all(db.conn()).await
}

pub(super) async fn make_goods(tx: &WriteTx, name: &str, partner_id: i64, now: i64) -> Result<(), DbErr> {
    let row = goods::ActiveModel {
        kind: Set(goods::SERVICE.into()),
        name: Set(name.into()),
        price_fen: Set(500),
        partner_id: Set(partner_id),
        status: Set(1),
        initial_state: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    row.insert(tx).await.map(|_| ())
}

pub(super) async fn customers(db: &Db, most: u64) -> Result<Vec<customer::Model>, DbErr> {
    customer::Entity::find().order_by_asc(customer::Column::Id).limit(most).all(db.conn()).await
}

/// The highest mobile of a made customer.
pub(super) async fn last_mobile(db: &Db) -> Result<Option<String>, DbErr> {
    let column = customer::Column::Mobile;
    let query = customer::Entity::find().select_only().column(column);
    let query = query.filter(column.gte(MOBILES.0)).filter(column.lt(MOBILES.1)).order_by_desc(column);
    query.limit(1).into_tuple().one(db.conn()).await
}

pub(super) async fn insert_customers(tx: &WriteTx, rows: &[customer::Model]) -> Result<(), DbErr> {
    for some in rows.chunks(2000) {
        let models = some.iter().map(|row| row.clone().into_active_model().reset_all());
        customer::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// `n` short numbers that nobody else gets. On SQLite nobody else may place orders meanwhile.
pub(super) async fn service_numbers(db: &Db, n: usize) -> Result<Vec<i64>, DbErr> {
    let conn = db.conn();
    let n = i64::try_from(n).unwrap_or(0);
    if conn.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT nextval('order_service_no') AS n FROM generate_series(1, $1)";
        let rows =
            conn.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [n.into()])).await?;
        return rows.iter().map(|row| row.try_get("", "n")).collect();
    }
    let sql = "SELECT COALESCE(MAX(service_no), 0) AS n FROM orders WHERE service_no > 0";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let last: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok((last + 1..=last + n).collect())
}

/// Fresh rows make fresh plans.
pub(super) async fn analyze(db: &Db) -> Result<(), DbErr> {
    let tx = db.write_tx().await?;
    let (_, sql) = db::dialect(&tx, "ANALYZE orders, order_history, order_outer_id, customer", "ANALYZE");
    tx.execute_unprepared(sql).await?;
    tx.commit().await
}

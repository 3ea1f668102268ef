use platform::db::{self, WriteTx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};

use super::http::GoodsFilter;
use crate::entities::goods::{self, Column};

/// Goods by id, deleted ones too: their orders live on.
///
/// # Errors
/// The database.
pub async fn find<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<goods::Model>, DbErr> {
    goods::Entity::find_by_id(id).one(conn).await
}

pub(super) async fn lock(tx: &WriteTx, id: i64) -> Result<Option<goods::Model>, DbErr> {
    goods::Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).lock_exclusive().one(tx).await
}

/// A page of what is not deleted, newest first, and how many there are.
pub(super) async fn list(
    conn: &DatabaseConnection,
    filter: &GoodsFilter,
) -> Result<(u64, Vec<goods::Model>), DbErr> {
    let mut query = goods::Entity::find().filter(Column::DeletedAt.eq(0));
    if let Some(kind) = &filter.kind {
        query = query.filter(Column::Kind.eq(kind));
    }
    if let Some(name) = &filter.name {
        query = query.filter(Column::Name.contains(name));
    }
    if let Some(report_id) = filter.report_id {
        query = query.filter(Column::ReportId.eq(report_id));
    }
    if let Some(partner_id) = filter.partner_id {
        query = query.filter(Column::PartnerId.eq(partner_id));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    let total = query.clone().count(conn).await?;
    let page = filter.paging;
    let rows = query.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit).all(conn).await?;
    Ok((total, rows))
}

pub(super) async fn insert(tx: &WriteTx, row: goods::ActiveModel) -> Result<goods::Model, DbErr> {
    row.insert(tx).await
}

pub(super) async fn update(tx: &WriteTx, row: goods::ActiveModel) -> Result<goods::Model, DbErr> {
    row.update(tx).await
}

/// Puts the reports' columns into their goods, making those that are new. `rows` is a JSON list of
/// `[report_id, version, title, cover, price_fen, read_count, status, deleted]`, each report once; an older
/// version than the stored one changes nothing.
pub(super) async fn follow_reports(tx: &WriteTx, rows: &str, now: i64) -> Result<(), DbErr> {
    let (backend, sql) = db::dialect(
        tx,
        "INSERT INTO goods (kind, report_id, report_version, name, cover, price_fen, read_count, status, deleted_at,
                created_at, updated_at)
            SELECT 'report', (e->>0)::bigint, (e->>1)::bigint, e->>2, e->>3, (e->>4)::bigint, (e->>5)::bigint,
                (e->>6)::smallint, CASE WHEN (e->>7)::boolean THEN $2 ELSE 0 END, $2, $2
            FROM json_array_elements($1::json) AS e
            ON CONFLICT (report_id) WHERE report_id <> 0 DO UPDATE SET
                report_version = excluded.report_version, name = excluded.name, cover = excluded.cover,
                price_fen = excluded.price_fen, read_count = excluded.read_count, status = excluded.status,
                deleted_at = excluded.deleted_at, updated_at = excluded.updated_at
            WHERE goods.report_version < excluded.report_version",
        "INSERT INTO goods (kind, report_id, report_version, name, cover, price_fen, read_count, status, deleted_at,
                created_at, updated_at)
            SELECT 'report', json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
                json_extract(value, '$[6]'), CASE WHEN json_extract(value, '$[7]') THEN $2 ELSE 0 END, $2, $2
            FROM json_each($1) WHERE true
            ON CONFLICT (report_id) WHERE report_id <> 0 DO UPDATE SET
                report_version = excluded.report_version, name = excluded.name, cover = excluded.cover,
                price_fen = excluded.price_fen, read_count = excluded.read_count, status = excluded.status,
                deleted_at = excluded.deleted_at, updated_at = excluded.updated_at
            WHERE goods.report_version < excluded.report_version",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into(), now.into()])).await.map(|_| ())
}

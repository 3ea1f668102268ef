//! The queries of report files.

use platform::db::WriteTx;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};

use crate::entities::report::{Column, Entity};

/// The `src` of the newest report whose file is called so: by the last part of its src, or by its name and format.
pub async fn find_src(conn: &impl ConnectionTrait, name: &str) -> Result<Option<String>, DbErr> {
    let called = Condition::any().add(Column::FileBase.eq(name)).add(Column::FileFull.eq(name));
    Entity::find()
        .select_only()
        .column(Column::FileSrc)
        .filter(Column::DeletedAt.eq(0))
        .filter(called)
        .order_by_desc(Column::Id)
        .into_tuple()
        .one(conn)
        .await
}

/// (id, src) of reports behind `after` whose file was not copied yet.
pub async fn not_copied(
    conn: &impl ConnectionTrait,
    after: i64,
    limit: u64,
) -> Result<Vec<(i64, String)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::FileSrc])
        .filter(Column::DeletedAt.eq(0))
        .filter(Column::CopiedAt.eq(0))
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await
}

/// Notes that the files with these srcs are in the private bucket.
pub async fn mark_copied(tx: &WriteTx, srcs: &[String], now_ms: i64) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::CopiedAt, Expr::value(now_ms))
        .filter(Column::FileSrc.is_in(srcs.iter().map(String::as_str)))
        .exec(tx)
        .await
        .map(|_| ())
}

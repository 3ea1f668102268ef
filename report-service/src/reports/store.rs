//! The queries of reports.

use platform::db::{WriteTx, dialect};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, SelectExt, Statement,
};

use crate::{
    entities::report::{ActiveModel, Column, Entity, Model},
    sql,
    wire::Paging,
};

/// What a list is narrowed to.
#[derive(Debug, Default)]
pub struct Filter {
    /// Part of the title.
    pub title: Option<String>,
    pub type_id: Option<i64>,
    pub status: Option<i16>,
    /// Published at or after, unix milliseconds.
    pub published_from: Option<i64>,
    /// Published before, unix milliseconds.
    pub published_before: Option<i64>,
}

/// The columns of a list row.
#[derive(Debug, FromQueryResult)]
pub struct Row {
    pub id: i64,
    pub cover: String,
    pub title: String,
    pub price_fen: i64,
    pub subscribe_count: i64,
    pub status: i16,
    pub publish_at: i64,
}

/// All reports that match, and one page of them, newest first.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    paging: Paging,
) -> Result<(i64, Vec<Row>), DbErr> {
    let matching = matching(filter);
    let total = i64::try_from(matching.clone().count(conn).await?).unwrap_or(i64::MAX);
    let offset = paging.offset();
    if offset >= total {
        return Ok((total, Vec::new()));
    }
    let rows = matching
        .select_only()
        .columns([
            Column::Id,
            Column::Cover,
            Column::Title,
            Column::PriceFen,
            Column::SubscribeCount,
            Column::Status,
            Column::PublishAt,
        ])
        .order_by_desc(Column::Id)
        .offset(u64::try_from(offset).unwrap_or(0))
        .limit(u64::try_from(paging.limit).unwrap_or(0))
        .into_model::<Row>()
        .all(conn)
        .await?;
    Ok((total, rows))
}

fn matching(filter: &Filter) -> Select<Entity> {
    let mut select = Entity::find().filter(Column::DeletedAt.eq(0));
    if let Some(title) = &filter.title {
        select = select.filter(sql::contains(Column::Title, title));
    }
    if let Some(type_id) = filter.type_id {
        select = select.filter(Column::TypeId.eq(type_id));
    }
    if let Some(status) = filter.status {
        select = select.filter(Column::Status.eq(status));
    }
    if filter.published_from.is_some() || filter.published_before.is_some() {
        // 0 is "not published", not 1970.
        select = select.filter(Column::PublishAt.gte(filter.published_from.unwrap_or(1).max(1)));
    }
    if let Some(before) = filter.published_before {
        select = select.filter(Column::PublishAt.lt(before));
    }
    select
}

/// The report, unless it is deleted or was never there.
pub async fn find(conn: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).one(conn).await
}

/// The report for a change: on PostgreSQL its row stays locked until the transaction ends.
pub async fn find_for_update(tx: &WriteTx, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).lock_exclusive().one(tx).await
}

/// Is there such a report?
pub async fn exists(conn: &impl ConnectionTrait, id: i64) -> Result<bool, DbErr> {
    Entity::find_by_id(id).filter(Column::DeletedAt.eq(0)).exists(conn).await
}

/// Adds a report; its `id` is made by the database.
pub async fn insert(tx: &WriteTx, report: Model) -> Result<Model, DbErr> {
    let mut row = ActiveModel::from(report).reset_all();
    row.id = NotSet;
    row.insert(tx).await
}

/// Writes a report that was read for update.
pub async fn update(tx: &WriteTx, report: Model) -> Result<Model, DbErr> {
    ActiveModel::from(report).reset_all().update(tx).await
}

/// Is any report due at `now`? A read, so that idle turns disturb no writer.
pub async fn any_due(conn: &impl ConnectionTrait, now: i64) -> Result<bool, DbErr> {
    Entity::find().filter(Column::DueAt.gt(0)).filter(Column::DueAt.lte(now)).exists(conn).await
}

/// Publishes up to `limit` reports that are due at `now`; each is answered to one caller only.
pub async fn publish_due(tx: &WriteTx, now: i64, limit: i64) -> Result<Vec<Model>, DbErr> {
    let (backend, sql) = dialect(
        tx,
        "UPDATE report SET status = 1, due_at = 0, version = version + 1, updated_at = $1
         WHERE id = ANY(ARRAY(SELECT id FROM report WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at, id
            LIMIT $2 FOR UPDATE SKIP LOCKED))
         RETURNING *",
        "UPDATE report SET status = 1, due_at = 0, version = version + 1, updated_at = $1
         WHERE id IN (SELECT id FROM report WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at, id LIMIT $2)
         RETURNING *",
    );
    let statement = Statement::from_sql_and_values(backend, sql, [now.into(), limit.into()]);
    Entity::find().from_raw_sql(statement).all(tx).await
}

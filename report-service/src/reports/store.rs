//! The queries of reports.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
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

/// Adds a report; its `id` is made by the database.
pub async fn insert(conn: &impl ConnectionTrait, report: Model) -> Result<Model, DbErr> {
    let mut row = ActiveModel {
        id: NotSet,
        version: Set(report.version),
        title: Set(report.title),
        cover: Set(report.cover),
        type_id: Set(report.type_id),
        intro: Set(report.intro),
        directory: Set(report.directory),
        short_intro: Set(report.short_intro),
        file_name: Set(report.file_name),
        file_src: Set(report.file_src),
        file_format: Set(report.file_format),
        file_size: Set(report.file_size),
        file_base: Set(report.file_base),
        file_full: Set(report.file_full),
        price_fen: Set(report.price_fen),
        read_count: Set(report.read_count),
        status: Set(report.status),
        publish_at: Set(report.publish_at),
        due_at: Set(report.due_at),
        subscribe_count: Set(report.subscribe_count),
        copied_at: Set(report.copied_at),
        created_at: Set(report.created_at),
        updated_at: Set(report.updated_at),
        deleted_at: Set(report.deleted_at),
    };
    row.id = NotSet;
    row.insert(conn).await
}

use sea_orm::entity::prelude::*;

/// A paid report.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Rises by one with every change; carried by `report.changed`.
    pub version: i64,
    pub title: String,
    /// Absolute URL or storage key, as it was given.
    pub cover: String,
    pub type_id: i64,
    pub intro: String,
    pub directory: String,
    pub short_intro: String,
    pub file_name: String,
    /// Absolute URL or storage key, as it was given.
    pub file_src: String,
    pub file_format: String,
    /// Bytes, as the caller said.
    pub file_size: i64,
    /// Last part of `file_src`: the report is found by it for a download.
    pub file_base: String,
    /// `file_name` with its format: the report is found by it too.
    pub file_full: String,
    pub price_fen: i64,
    /// Readings an order of size 1 grants.
    pub read_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    pub status: i16,
    /// Shown as the publish time.
    pub publish_at: i64,
    /// When the service itself is to publish the report; 0 = not scheduled.
    pub due_at: i64,
    /// Paid orders of this report.
    pub subscribe_count: i64,
    /// When the file was copied to the private bucket; 0 = not yet.
    pub copied_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
    /// 0 = not deleted.
    pub deleted_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

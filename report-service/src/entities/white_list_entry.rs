use sea_orm::entity::prelude::*;

/// A person who may read a report without an order. The same mobile may stand twice in a report.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "white_list_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub report_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// 1 when made, rises by one with every change and reading; carried by `whitelist.changed`.
    pub version: i64,
    pub given_user: String,
    pub given_position: String,
    pub given_company: String,
    pub mobile: String,
    /// Readings granted in all.
    pub read_count: i64,
    /// Readings left.
    pub residue_count: i64,
    /// 0 enabled, 1 disabled.
    pub state: i16,
    /// Nickname of the account that changed the entry last.
    pub author: String,
    /// The import that made the entry; 0 = by hand.
    pub import_id: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

use sea_orm::entity::prelude::*;

/// A buyer or a white-listed reader.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "customer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Trimmed and normalised, not validated; unique.
    pub mobile: String,
    pub nick_name: String,
    pub avatar: String,
    pub regist_at: i64,
    pub last_login_at: i64,
    pub last_review_at: i64,
    /// 1 when made, rises with every change that `customer.changed` tells.
    pub version: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Who did what; written in the transaction of the change, never changed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub at: i64,
    pub actor_kind: String,
    pub actor_id: i64,
    pub actor_name: String,
    pub action: String,
    pub target: String,
    pub target_id: String,
    pub before_json: String,
    pub after_json: String,
    pub request_id: String,
    pub ip: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

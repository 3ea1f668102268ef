use sea_orm::entity::prelude::*;

/// One change of an order: who, what, when, why. Written by `lifecycle` alone.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_history")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    /// = order_seq of the change, gapless.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub at: i64,
    /// Name of the event in the state tables.
    pub event: String,
    /// `account`, `supplier`, `partner`, `customer`, `system`.
    pub actor_kind: String,
    pub actor_id: i64,
    pub actor_name: String,
    pub from_state: Option<i16>,
    pub to_state: i16,
    pub from_fulfil: Option<i16>,
    pub to_fulfil: Option<i16>,
    pub reason: String,
    /// JSON: `{"now_num": [0, 5], …}`, from and to.
    pub changed: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

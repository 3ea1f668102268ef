use sea_orm::entity::prelude::*;

/// A partner's own id of an order: unique for each partner, whatever month the order stands in, and also when
/// that month was archived. Written with the order, by `lifecycle` alone.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_outer_id")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub outer_id: String,
    /// The order's number.
    pub number: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

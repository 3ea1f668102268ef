use sea_orm::entity::prelude::*;

/// A hand-out that can be asked for again under its number, or that is leased until it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "supplier_batch")]
pub struct Model {
    /// `orders.batch_id`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub supplier_id: i64,
    /// The supplier's own id of the call, or ours for a leased batch; unique per supplier.
    pub batch_no: String,
    pub goods_id: i64,
    /// State that was asked for.
    pub from_state: i16,
    /// Rises with every repeat: a stream that is still running under an older one hands out nothing more.
    pub fence: i64,
    /// 0 = no lease.
    pub lease_until: i64,
    pub acked_at: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

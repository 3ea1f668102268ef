use sea_orm::entity::prelude::*;

/// Money that came for a cancelled order: it waits to be given back.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "late_payment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    /// order_seq of the change that noted it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub amount_fen: i64,
    pub payment_channel: i64,
    pub third_trade_num: String,
    pub third_trade_identity: String,
    pub received_at: i64,
    /// 0 = still to be given back.
    pub refunded_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

use sea_orm::entity::prelude::*;

/// What this service knows of a supplier's apikey, from `key.changed`. Never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "supplier_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: i64,
    pub version: i64,
    pub supplier_id: i64,
    pub supplier_name: String,
    /// JSON list of the goods it opens.
    pub goods_ids: String,
    /// Lower hex SHA-256 of the key; unique.
    pub key_sha256: String,
    pub enabled: bool,
    /// Dead after this; 0 = never.
    pub expires_at: i64,
    /// When its use was last told; not from the event.
    pub used_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A key of a partner or a supplier: its hash, never itself.

use sea_orm::entity::prelude::*;

use super::Hidden;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub owner_kind: String,
    pub owner_id: i64,
    pub root_id: i64,
    pub name: String,
    pub prefix: String,
    pub key_sha256: String,
    pub enabled: bool,
    pub expires_at: i64,
    pub goods_ids: String,
    pub sign_required: bool,
    pub sign_method: String,
    pub quota_per_second: i64,
    pub quota_per_day: i64,
    pub apiuser: String,
    pub apipwd_md5_sealed: Hidden,
    pub ip_allow: String,
    pub sk_sealed: Hidden,
    pub last_used_at: i64,
    pub last_md5_at: i64,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! An operator's account or a partner's login.

use sea_orm::entity::prelude::*;

use super::Hidden;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub account: String,
    pub account_key: String,
    pub nickname: String,
    pub kind: String,
    pub partner_id: i64,
    pub password_hash: Hidden,
    pub enabled: bool,
    pub tokens_valid_from: i64,
    pub last_token_iat: i64,
    pub last_login_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

use sea_orm::entity::prelude::*;

/// What this service knows of a partner, from `partner.changed`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "partner")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The highest seen; older events change nothing.
    pub version: i64,
    pub name: String,
    pub account_id: i64,
    pub enabled: bool,
    /// `masked`, `plain` or `none`.
    pub privacy: String,
    /// Lower case, "" = none.
    pub login: String,
    /// Argon2id in PHC form, sealed.
    pub login_hash: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

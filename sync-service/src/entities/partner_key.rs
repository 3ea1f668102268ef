use sea_orm::entity::prelude::*;

/// A partner's API key as the drop-in entry checks it, from `key.changed`. Its secrets are sealed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "partner_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The highest seen; older events change nothing.
    pub version: i64,
    /// The first key of its chain of rotations: quotas and marks are kept under it.
    pub root_id: i64,
    pub partner_id: i64,
    pub key_sha256: String,
    pub enabled: bool,
    /// Unix milliseconds, 0 = never.
    pub expires_at: i64,
    pub sign_required: bool,
    /// `md5` or `sha256`.
    pub sign_method: String,
    pub quota_per_second: i64,
    pub quota_per_day: i64,
    /// "" = no platform credential is demanded.
    pub apiuser: String,
    /// Sealed; lower-hex MD5 of apipwd.
    pub apipwd_md5: String,
    /// JSON list of CIDR; `[]` = anywhere.
    pub ip_allow: String,
    /// Sealed.
    pub sk: String,
    /// When auth-service was last told that the key is in use, unix milliseconds.
    pub told_used_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

use sea_orm::entity::prelude::*;

/// A standing order for callbacks. Times are unix milliseconds, 0 = unset; secrets are sealed, "" = none.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// 0 = the house itself.
    pub partner_id: i64,
    pub url: String,
    /// `standard` or `gth`.
    pub dialect: String,
    /// Orders of the partner's own (type 1).
    pub own_orders: bool,
    /// Orders of the partner's distributors (type 2).
    pub distributor_orders: bool,
    /// JSON list of the happenings wanted, `[]` = all.
    pub events: String,
    /// Deliveries a second, 0 = no limit.
    pub rate_limit: i64,
    pub latest_wins: bool,
    /// `active`, `paused` or `disabled`.
    pub status: String,
    /// Why it is not active; "" while it is.
    pub status_reason: String,
    pub secret: String,
    pub old_secret: String,
    pub old_secret_until: i64,
    pub api_token: String,
    /// Rotated out together with `old_secret`.
    pub old_api_token: String,
    /// `api`, `drop_in` (made by the drop-in entry, one for each partner and type) or `push` (the address of
    /// channel 1; wants no changes of its own).
    pub origin: String,
    /// The circuit breaker keeps deliveries back until then.
    pub open_until: i64,
    /// Since when nothing was acknowledged, 0 = all is well.
    pub failing_since: i64,
    /// Percent of the failure budget that was last alerted.
    pub alert_level: i32,
    /// What the last probe found, "" = never probed.
    pub probe_result: String,
    pub probed_at: i64,
    /// Sign with Ed25519 as well.
    #[sea_orm(column_name = "with_public_key")]
    pub asymmetric: bool,
    /// Rises with every change that senders must know of.
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Secrets and the token inside a URL do not show.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("subscription")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

use sea_orm::entity::prelude::*;

/// One request that was made for a delivery; append only.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// 1 = the first.
    pub try_no: i32,
    /// Unix milliseconds.
    pub started_at: i64,
    pub duration_ms: i64,
    /// 0 = no answer.
    pub http_status: i32,
    pub acknowledged: bool,
    /// Why not, "" when acknowledged.
    pub error: String,
    /// At most 16 KiB of the answer's body.
    pub answer: String,
    pub url: String,
    /// The `webhook-signature` header as sent.
    pub signature: String,
    /// The `sign` of the gth dialect as sent, "" otherwise.
    pub sign: String,
    /// When the next try was planned, unix milliseconds; 0 = none.
    pub next_attempt_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

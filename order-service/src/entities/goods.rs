use sea_orm::entity::prelude::*;

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "goods")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `report` or `service`.
    pub kind: String,
    pub name: String,
    pub cover: String,
    pub price_fen: i64,
    /// 0 = the house's own.
    pub partner_id: i64,
    /// 0 for service goods; one goods per report.
    pub report_id: i64,
    /// Version of the report these columns were taken from.
    pub report_version: i64,
    /// Readings an order of size 1 grants.
    pub read_count: i64,
    /// 0 waiting, 1 on sale, 2 withdrawn: a report's own status; service goods are 1 or 2.
    pub status: i16,
    /// Where an order starts once it is paid: 0 `dlz` or 1 `wks`.
    pub initial_state: i16,
    /// Template of a download without `format`; "" = none.
    pub format: String,
    /// JSON: `[{"name", "format"}]`.
    pub presets: String,
    /// JSON: names of the inputs aa…ee.
    pub input_labels: String,
    /// What is counted, for people: 个, 次 …
    pub unit: String,
    /// Category as suppliers see it (`goods_type`, `goods_type_title`).
    pub type_id: i64,
    pub type_title: String,
    pub deleted_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// `goods.kind` of a report's goods.
pub const REPORT: &str = "report";
/// `goods.kind` of what a supplier works off.
pub const SERVICE: &str = "service";

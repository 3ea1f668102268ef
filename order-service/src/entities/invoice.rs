use sea_orm::entity::prelude::*;

/// An order's invoice, asked for or issued; one per order.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invoice")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    /// 1 asked for, 2 issued.
    pub state: i16,
    /// 1 = with VAT.
    pub is_vat: i16,
    /// 1 person, 2 company.
    pub invoice_option: i16,
    pub amount_fen: i64,
    pub invoice_title: String,
    pub invoice_tax_num: String,
    pub vat_name: String,
    pub vat_mail_address: String,
    pub vat_company_name: String,
    pub vat_company_address: String,
    pub vat_company_mobile: String,
    pub vat_telphone: String,
    pub vat_bank_name: String,
    pub vat_bank_account: String,
    /// Who asked for it or changed it last.
    pub actor_name: String,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QuerySelect,
    sea_query::OnConflict,
};

use crate::entities::{
    invoice::{self, Column},
    orders,
};

/// The invoice of an order.
///
/// # Errors
/// The database.
pub async fn find<C: ConnectionTrait>(conn: &C, order_id: i64) -> Result<Option<invoice::Model>, DbErr> {
    invoice::Entity::find_by_id(order_id).one(conn).await
}

/// The order under a lock: no refund may happen between the check and the invoice.
pub(super) async fn lock_order(tx: &WriteTx, number: &str) -> Result<Option<orders::Model>, DbErr> {
    orders::numbered(number).lock_exclusive().one(tx).await
}

/// Writes the invoice; one that is there keeps the time it was made.
pub(super) async fn upsert(tx: &WriteTx, row: invoice::Model) -> Result<(), DbErr> {
    let columns = [
        Column::State,
        Column::IsVat,
        Column::InvoiceOption,
        Column::AmountFen,
        Column::InvoiceTitle,
        Column::InvoiceTaxNum,
        Column::VatName,
        Column::VatMailAddress,
        Column::VatCompanyName,
        Column::VatCompanyAddress,
        Column::VatCompanyMobile,
        Column::VatTelphone,
        Column::VatBankName,
        Column::VatBankAccount,
        Column::ActorName,
        Column::UpdatedAt,
    ];
    invoice::Entity::insert(row.into_active_model().reset_all())
        .on_conflict(OnConflict::column(Column::OrderId).update_columns(columns).to_owned())
        .exec_without_returning(tx)
        .await
        .map(|_| ())
}

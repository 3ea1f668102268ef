use contracts::order_state::PaymentState;
use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    http::ApiError,
};
use sea_orm::DbErr;

use super::{http::InvoiceBody, store};
use crate::{admin_orders::rows::InvoiceInfo, app::Ctx, entities::invoice, wire};

/// Why there is no invoice.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    #[error("no such order")]
    NoOrder,
    #[error("the order is not paid")]
    NotPaid,
    #[error("at most {most_fen} fen")]
    TooMuch { most_fen: i64 },
    #[error("the invoice is issued")]
    Issued,
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<InvoiceError> for ApiError {
    fn from(e: InvoiceError) -> Self {
        match e {
            InvoiceError::NoOrder => wire::no_such_order(),
            InvoiceError::NotPaid => {
                Self::refused("订单未付款，不能开票", "the order is not paid, so there is no invoice")
            }
            InvoiceError::TooMuch { most_fen } => Self::invalid(
                "invoice_amount",
                format!("不能超过 {most_fen} 分，且必须大于 0"),
                format!("must be more than 0 and at most {most_fen} fen"),
            ),
            InvoiceError::Issued => {
                Self::refused("发票已开具，不能再修改", "the invoice is issued and cannot be changed")
            }
            InvoiceError::Db(e) => e.into(),
        }
    }
}

/// Asks for an invoice, changes one that is not issued yet, or records that it is.
pub async fn save(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    number: &str,
    body: &InvoiceBody,
) -> Result<invoice::Model, InvoiceError> {
    let order = store::lock_order(tx, number).await?.ok_or(InvoiceError::NoOrder)?;
    if order.payment_state() != PaymentState::Completed {
        return Err(InvoiceError::NotPaid);
    }
    let known = store::find(tx, order.id).await?;
    if known.as_ref().is_some_and(|i| i.state == 2) {
        return Err(InvoiceError::Issued);
    }
    let most_fen = order.total_fen - order.refund_fen;
    let amount_fen = body.amount_fen.unwrap_or(most_fen);
    if amount_fen < 1 || amount_fen > most_fen {
        return Err(InvoiceError::TooMuch { most_fen });
    }
    let now = ctx.platform.clock.now_ms();
    let row = invoice::Model {
        order_id: order.id,
        amount_fen,
        actor_name: who.actor.name.clone(),
        created_at: known.as_ref().map_or(now, |i| i.created_at),
        updated_at: now,
        ..body.row.clone()
    };
    store::upsert(tx, row.clone()).await?;
    let mut change = Change::new("invoice.save", "invoice", number).after(&InvoiceInfo::from(row.clone()));
    if let Some(known) = known {
        change = change.before(&InvoiceInfo::from(known));
    }
    audit::record(&ctx.platform, tx, who, change).await?;
    Ok(row)
}

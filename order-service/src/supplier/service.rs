use contracts::order_state::FulfilState;
use platform::http::ApiError;
use sea_orm::DbErr;

use super::access::Supplier;
use crate::{
    app::Ctx,
    lifecycle::{By, Edit, Edited, LifecycleError},
};

/// Why a supplier's call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SupplierError {
    #[error("the apikey is not valid")]
    BadKey,
    #[error("the apikey does not open these goods")]
    NotYourGoods,
    #[error("no such order of these goods")]
    NoSuchOrder,
    #[error("no such batch")]
    NoSuchBatch,
    #[error("the lease ran out")]
    LeaseOver,
    #[error("the batch id was used for other goods or another state")]
    OtherBatch,
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<SupplierError> for ApiError {
    fn from(e: SupplierError) -> Self {
        match e {
            SupplierError::BadKey => Self::unauthenticated("apikey 无效", "the apikey is not valid"),
            SupplierError::NotYourGoods => {
                Self::refused("该 apikey 无权访问此业务", "the apikey does not open these goods")
            }
            SupplierError::NoSuchOrder => Self::not_found("订单不存在", "no such order"),
            SupplierError::NoSuchBatch => Self::not_found("批次不存在", "no such batch"),
            SupplierError::LeaseOver => Self::refused(
                "该批次的租约已到期，订单已退回或已处理",
                "the lease of this batch ran out; its orders went back or are worked on",
            ),
            SupplierError::OtherBatch => Self::refused(
                "该 batch 已用于其他业务或状态",
                "this batch id was used for other goods or another state",
            ),
            SupplierError::Lifecycle(e) => e.into(),
            SupplierError::Db(e) => e.into(),
        }
    }
}

/// Applies an edit to an order of goods the key opens. `goods_id` is checked when it was sent. A move to
/// `ytd` is a refund.
pub async fn edit(
    ctx: &Ctx,
    supplier: &Supplier,
    order_id: i64,
    goods_id: Option<i64>,
    edit: Edit,
) -> Result<Edited, SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let order = match ctx.lifecycle.lock(&tx, order_id).await {
        Err(LifecycleError::NotFound) => return Err(SupplierError::NoSuchOrder),
        other => other?,
    };
    let named = goods_id.is_none_or(|id| id == order.goods_id);
    if !named || supplier.check(order.goods_id).is_err() {
        return Err(SupplierError::NoSuchOrder);
    }
    let by = By { actor: &supplier.actor, reason: "" };
    let done = if edit.state == Some(FulfilState::Refunded) {
        ctx.lifecycle.refund(&tx, order, edit.now_num, by).await?
    } else {
        ctx.lifecycle.edit(&tx, order, edit, by).await?
    };
    tx.commit().await?;
    Ok(done)
}

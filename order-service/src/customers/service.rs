use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    http::{ApiError, Fields, FromFields, values},
};
use sea_orm::{DbErr, SqlErr};
use serde_json::json;
use utoipa::ToSchema;

use super::store;
use crate::{app::Ctx, entities::customer};

/// A customer as a shop names it. The mobile is trimmed and normalised, not validated
/// (`spec/report-admin-api.md`, "Customers and orders").
#[derive(Debug, Clone, ToSchema)]
pub struct NewCustomer {
    pub mobile: String,
    pub nick_name: String,
    pub avatar: String,
}

const MAX_MOBILE_CHARS: usize = 32;

impl FromFields for NewCustomer {
    fn read(f: &mut Fields<'_>) -> Self {
        let written = f.required_text("mobile", MAX_MOBILE_CHARS);
        let mobile = values::normal_mobile(&written);
        if mobile.is_empty() && !written.is_empty() {
            f.error("mobile", "不能为空", "is required");
        }
        Self {
            mobile,
            nick_name: f.optional_text("nick_name", 100).unwrap_or_default(),
            avatar: f.optional_text("avatar", 500).unwrap_or_default(),
        }
    }
}

/// Why a customer was not made.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    #[error("the mobile belongs to customer {id}")]
    Exists { id: i64 },
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<CustomerError> for ApiError {
    fn from(e: CustomerError) -> Self {
        match e {
            CustomerError::Exists { id } => {
                let (zh, en) =
                    (format!("该手机号已是客户 {id}"), format!("this mobile is customer {id} already"));
                Self::refused(zh, en).with_data(serde_json::json!({"id": id}))
            }
            CustomerError::Db(e) => e.into(),
        }
    }
}

fn row(ctx: &Ctx, new: &NewCustomer) -> customer::Model {
    let now = ctx.platform.clock.now_ms();
    customer::Model {
        id: ctx.platform.ids.next(),
        mobile: new.mobile.clone(),
        nick_name: new.nick_name.clone(),
        avatar: new.avatar.clone(),
        regist_at: now,
        last_login_at: 0,
        last_review_at: 0,
        created_at: now,
    }
}

/// Makes a customer; answers the id.
pub async fn add(ctx: &Ctx, who: &Who, new: &NewCustomer) -> Result<i64, CustomerError> {
    let row = row(ctx, new);
    let id = row.id;
    let tx = ctx.platform.db.write_tx().await?;
    match store::insert(&tx, row).await {
        Ok(()) => {
            let view =
                json!({"id": id, "mobile": new.mobile, "nick_name": new.nick_name, "avatar": new.avatar});
            let change = Change::new("customer.add", "customer", id).after(&view);
            audit::record(&ctx.platform, &tx, who, change).await?;
            tx.commit().await?;
        }
        Err(e) if matches!(e.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            tx.rollback().await?;
            let found = store::find_by_mobile(ctx.platform.db.conn(), &new.mobile).await?;
            return Err(found.map_or(CustomerError::Db(e), |c| CustomerError::Exists { id: c.id }));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(id)
}

/// The customer of this mobile, made in the order's own transaction when there is none.
///
/// # Errors
/// The database.
pub async fn find_or_make(ctx: &Ctx, tx: &WriteTx, new: &NewCustomer) -> Result<customer::Model, DbErr> {
    if let Some(known) = store::find_by_mobile(tx, &new.mobile).await?
        && (!known.nick_name.is_empty() || new.nick_name.is_empty())
    {
        return Ok(known);
    }
    store::upsert(tx, &row(ctx, new)).await
}

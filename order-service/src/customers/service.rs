use contracts::events::{CustomerBatchChanged, CustomerChanged};
use platform::{
    Platform,
    audit::{self, Change, Who},
    db::WriteTx,
    http::{ApiError, Fields, FromFields, values},
};
use sea_orm::{DbErr, SqlErr};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::store;
use crate::{app::Ctx, entities::customer, wire};

/// A customer as a shop names it. The mobile is trimmed and normalised, not validated
/// (`spec/report-admin-api.md`, "Customers and orders").
#[derive(Debug, Clone, ToSchema)]
pub struct NewCustomer {
    pub mobile: String,
    pub nick_name: String,
    pub avatar: String,
    /// Unix seconds; now when absent.
    pub regist_at: Option<i64>,
    /// Unix seconds.
    pub last_login_at: Option<i64>,
    /// Unix seconds.
    pub last_review_at: Option<i64>,
}

pub(super) const MAX_MOBILE_CHARS: usize = 32;
pub(super) const MAX_NAME_CHARS: usize = 100;
const MAX_AVATAR_CHARS: usize = 500;
/// The end of the year 9999.
const MAX_SECONDS: i64 = 253_402_300_799;
/// Up to so many customers are told one by one; more go as batches.
const TOLD_SINGLY: usize = 20;
/// Customers of one batch event.
const EVENT_BATCH: usize = 500;

fn time(f: &mut Fields<'_>, name: &str) -> Option<i64> {
    f.optional_int(name, 0..=MAX_SECONDS)
}

impl FromFields for NewCustomer {
    fn read(f: &mut Fields<'_>) -> Self {
        let written = f.required_text("mobile", MAX_MOBILE_CHARS);
        let mobile = values::normal_mobile(&written);
        if mobile.is_empty() && !written.is_empty() {
            f.error("mobile", "不能为空", "is required");
        }
        Self {
            mobile,
            nick_name: f.optional_text("nick_name", MAX_NAME_CHARS).unwrap_or_default(),
            avatar: f.optional_text("avatar", MAX_AVATAR_CHARS).unwrap_or_default(),
            regist_at: time(f, "regist_at"),
            last_login_at: time(f, "last_login_at"),
            last_review_at: time(f, "last_review_at"),
        }
    }
}

/// What may be set of a customer; absent = unchanged. The times only rise.
#[derive(Debug, Clone, Default, ToSchema)]
pub struct CustomerChange {
    pub nick_name: Option<String>,
    pub avatar: Option<String>,
    /// Unix seconds: the shop's word on a login.
    pub last_login_at: Option<i64>,
    /// Unix seconds.
    pub last_review_at: Option<i64>,
}

impl FromFields for CustomerChange {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            nick_name: f.optional_text("nick_name", MAX_NAME_CHARS),
            avatar: f.optional_text("avatar", MAX_AVATAR_CHARS),
            last_login_at: time(f, "last_login_at"),
            last_review_at: time(f, "last_review_at"),
        }
    }
}

/// Why a customer was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    #[error("no such customer")]
    NotFound,
    #[error("the mobile belongs to customer {id}")]
    Exists { id: i64 },
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<CustomerError> for ApiError {
    fn from(e: CustomerError) -> Self {
        match e {
            CustomerError::NotFound => wire::no_such_customer(),
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
        regist_at: new.regist_at.map_or(now, |s| s * 1000),
        last_login_at: new.last_login_at.unwrap_or(0) * 1000,
        last_review_at: new.last_review_at.unwrap_or(0) * 1000,
        version: 1,
        created_at: now,
    }
}

/// What the audit shows.
fn view(c: &customer::Model) -> Value {
    json!({"id": c.id, "mobile": c.mobile, "nick_name": c.nick_name, "avatar": c.avatar})
}

/// Makes a customer; answers the id.
pub async fn add(ctx: &Ctx, who: &Who, new: &NewCustomer) -> Result<i64, CustomerError> {
    let row = row(ctx, new);
    let id = row.id;
    let tx = ctx.platform.db.write_tx().await?;
    match store::insert(&tx, row.clone()).await {
        Ok(()) => {
            let change = Change::new("customer.add", "customer", id).after(&view(&row));
            audit::record(&ctx.platform, &tx, who, change).await?;
            announce(&ctx.platform, &tx, &[row]).await?;
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
    let customer = store::upsert(tx, &row(ctx, new)).await?;
    announce(&ctx.platform, tx, std::slice::from_ref(&customer)).await?;
    Ok(customer)
}

/// Changes what `change` names. Logins that a shop reports by the thousand are no matter of the audit.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, change: &CustomerChange) -> Result<(), CustomerError> {
    let tx = ctx.platform.db.write_tx().await?;
    let before = store::lock(&tx, id).await?.ok_or(CustomerError::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = &change.nick_name {
        after.nick_name.clone_from(name);
    }
    if let Some(avatar) = &change.avatar {
        after.avatar.clone_from(avatar);
    }
    after.last_login_at = before.last_login_at.max(change.last_login_at.unwrap_or(0) * 1000);
    after.last_review_at = before.last_review_at.max(change.last_review_at.unwrap_or(0) * 1000);
    if after != before {
        after.version += 1;
        store::update(&tx, after.clone()).await?;
        if view(&before) != view(&after) {
            let change =
                Change::new("customer.modify", "customer", id).before(&view(&before)).after(&view(&after));
            audit::record(&ctx.platform, &tx, who, change).await?;
        }
        announce(&ctx.platform, &tx, &[after]).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Tells report-service of customers that were made or changed, in the transaction that did it.
pub(super) async fn announce(
    platform: &Platform,
    tx: &WriteTx,
    customers: &[customer::Model],
) -> Result<(), DbErr> {
    let told = |c: &customer::Model| CustomerChanged {
        id: c.id,
        version: c.version,
        mobile: c.mobile.clone(),
        nick_name: c.nick_name.clone(),
        avatar: c.avatar.clone(),
        regist_at: c.regist_at,
        last_login_at: c.last_login_at,
        last_review_at: c.last_review_at,
    };
    if customers.len() <= TOLD_SINGLY {
        let changes: Vec<_> = customers.iter().map(told).collect();
        let items: Vec<_> = changes.iter().map(|c| (c.id.to_string(), c)).collect();
        platform.outbox.append_many(tx, &items).await?;
        return Ok(());
    }
    for batch in customers.chunks(EVENT_BATCH) {
        let subject = batch.first().map_or(0, |c| c.id).to_string();
        let batch = CustomerBatchChanged { customers: batch.iter().map(told).collect() };
        platform.outbox.append(tx, subject, &batch).await?;
    }
    Ok(())
}

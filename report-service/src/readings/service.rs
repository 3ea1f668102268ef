//! The use-case that uses up a reading.

use contracts::events::ReadingUsed;
use platform::{db::WriteTx, http::ApiError};
use sea_orm::DbErr;

use super::store;
use crate::{app::Ctx, subscribers, whitelist};

/// Why a reading could not be used up.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    #[error("no such report")]
    NoSuchReport,
    #[error("no such customer")]
    NoSuchCustomer,
    #[error("no reading left")]
    NoneLeft,
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ReadingError> for ApiError {
    fn from(e: ReadingError) -> Self {
        match e {
            ReadingError::NoSuchReport => Self::not_found("报告不存在", "no such report"),
            ReadingError::NoSuchCustomer => Self::not_found("客户不存在", "no such customer"),
            ReadingError::NoneLeft => Self::refused("没有剩余阅读次数", "no reading is left"),
            ReadingError::Db(e) => e.into(),
        }
    }
}

/// Who reads.
#[derive(Debug)]
pub struct Reader {
    pub customer_id: i64,
    /// For a customer this service has not heard of; a known one's own mobile holds.
    pub mobile: Option<String>,
}

/// Uses up one reading; answers how many the reader has left in this report.
pub async fn read(ctx: &Ctx, tx: &WriteTx, report_id: i64, reader: Reader) -> Result<i64, ReadingError> {
    if !store::report_was_there(tx, report_id).await? {
        return Err(ReadingError::NoSuchReport);
    }
    let known = subscribers::store::mobile_of(tx, reader.customer_id).await?;
    let mobile = known.or(reader.mobile).ok_or(ReadingError::NoSuchCustomer)?;
    let (right, left) = use_one(ctx, tx, report_id, reader.customer_id, &mobile).await?;
    let now = ctx.platform.clock.now_ms();
    subscribers::store::note_reading(tx, reader.customer_id, now).await?;
    let used = ReadingUsed { report_id, customer_id: reader.customer_id, right, left, used_at: now };
    ctx.platform.outbox.append(tx, report_id.to_string(), &used).await?;
    Ok(subscribers::store::left(tx, report_id, reader.customer_id, &mobile).await?)
}

/// The right that paid for the reading, and what it has left.
async fn use_one(
    ctx: &Ctx,
    tx: &WriteTx,
    report_id: i64,
    customer_id: i64,
    mobile: &str,
) -> Result<(String, i64), ReadingError> {
    if let Some(entry) = store::use_white_list(tx, report_id, mobile).await? {
        let change = whitelist::service::changed(&entry, false);
        whitelist::service::announce(&ctx.platform, tx, vec![change]).await?;
        return Ok((format!("whitelist:{}", entry.id), entry.residue_count));
    }
    match subscribers::store::use_one(tx, report_id, customer_id).await? {
        Some(used) => Ok((format!("order:{}", used.number), used.left_over)),
        None => Err(ReadingError::NoneLeft),
    }
}

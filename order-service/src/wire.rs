//! Envelopes and small conversions shared by the features' HTTP files (`spec/management-api.md`: results
//! always under `data`).

use chrono::NaiveDate;
use platform::{
    Platform, clock,
    http::{ApiError, Fields, FromFields},
    ids,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::ToSchema;

/// `{"status": 0, "data": …}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T> {
    /// 0 = success.
    pub status: u16,
    pub data: T,
}

impl<T> Data<T> {
    pub fn of(data: T) -> Self {
        Self { status: 0, data }
    }
}

/// A page with numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub current_page: u64,
    pub last_page: u64,
    pub per_page: u64,
    pub total: u64,
    pub data: Vec<T>,
}

/// The id of what was added, changed or deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Id {
    pub id: i64,
}

/// Which page is wanted; `page` from 1, `limit` 1 to 1000.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    pub page: u64,
    pub limit: u64,
}

/// Pages beyond this one are refused: nobody reads them, and they must not cost anything.
const MAX_PAGE: i64 = 1_000_000;

impl Paging {
    /// Reads `page` and `limit`; anything that is not a positive number is 400.
    pub fn read(f: &mut Fields<'_>, default_limit: i64) -> Self {
        let page = f.optional_int("page", 1..=MAX_PAGE).unwrap_or(1);
        let limit = f.optional_int("limit", 1..=1000).unwrap_or(default_limit);
        Self { page: page.unsigned_abs(), limit: limit.unsigned_abs() }
    }

    pub fn offset(self) -> u64 {
        (self.page - 1) * self.limit
    }

    /// The number of the last page; 1 for an empty list.
    pub fn last_page(self, total: u64) -> u64 {
        total.div_ceil(self.limit).max(1)
    }

    pub fn wrap<T>(self, total: u64, data: Vec<T>) -> Page<T> {
        Page { current_page: self.page, last_page: self.last_page(total), per_page: self.limit, total, data }
    }
}

/// Whole days of the business time zone, both ends inclusive.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// `None` = from the beginning.
    pub start: Option<NaiveDate>,
    /// `None` = today.
    pub end: Option<NaiveDate>,
}

/// A stretch of time: unix milliseconds, `to_ms` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from_ms: i64,
    pub to_ms: i64,
}

/// An order is paid at most so long after it was placed: `expire_in` goes no further, and a day for good measure.
const LONGEST_UNPAID_MS: i64 = 367 * 86_400_000;

impl Days {
    /// `start_date` and `end_date`.
    pub fn read(f: &mut Fields<'_>) -> Self {
        Self { start: f.optional_date("start_date"), end: f.optional_date("end_date") }
    }

    /// The same where `start_date` must be there.
    pub fn read_required(f: &mut Fields<'_>) -> Self {
        Self { start: Some(f.required_date("start_date")), end: f.optional_date("end_date") }
    }

    pub fn window(self, platform: &Platform) -> Window {
        let (now, tz) = (platform.clock.now_ms(), platform.tz);
        let end = self.end.unwrap_or_else(|| clock::local_date(now, tz));
        let after = end.succ_opt().unwrap_or(end);
        Window {
            from_ms: self.start.map_or(0, |day| clock::day_start_ms(day, tz)),
            to_ms: clock::day_start_ms(after, tz),
        }
    }
}

impl Window {
    /// The ids (from, to; `to` excluded) of what was made in it.
    pub fn ids(self) -> (i64, i64) {
        (ids::floor_at(self.from_ms), ids::floor_at(self.to_ms))
    }

    /// The ids (from, to; `to` excluded) of orders that may have been paid in it.
    pub fn ids_paid(self) -> (i64, i64) {
        let placed = self.from_ms.saturating_sub(LONGEST_UNPAID_MS);
        (ids::floor_at(placed), ids::floor_at(self.to_ms))
    }
}

/// An optional reason in a body that has nothing else.
#[derive(Debug, ToSchema)]
pub struct Reason {
    /// Why; shown in the history.
    pub reason: Option<String>,
}

impl FromFields for Reason {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { reason: f.optional_text("reason", 500) }
    }
}

/// An order's number in a path. What cannot be one is 404 before anybody asks the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderNumber(String);

impl<'de> Deserialize<'de> for OrderNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if number { Ok(Self(text)) } else { Err(D::Error::custom("an order number is up to 20 digits")) }
    }
}

impl std::ops::Deref for OrderNumber {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Unix milliseconds as the wire's seconds; 0 stays 0.
pub fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// 404/7 for an order.
pub fn no_such_order() -> ApiError {
    ApiError::not_found("订单不存在", "no such order")
}

/// 404/7 for a customer.
pub fn no_such_customer() -> ApiError {
    ApiError::not_found("客户不存在", "no such customer")
}

/// 404/7 for goods.
pub fn no_such_goods() -> ApiError {
    ApiError::not_found("商品不存在", "no such goods")
}

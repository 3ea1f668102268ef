//! The envelopes of this service's answers (`spec/management-api.md`).

use serde::Serialize;
use utoipa::ToSchema;

/// `{"status": 0, "data": …}`
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T> {
    /// 0 = success.
    pub status: u16,
    pub data: T,
}

impl<T> Data<T> {
    pub fn new(data: T) -> Self {
        Self { status: 0, data }
    }
}

/// The id of what was changed or deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Id {
    pub id: i64,
}

/// One numbered page of a small list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub current_page: i64,
    /// 1 when there are no rows.
    pub last_page: i64,
    pub per_page: i64,
    pub total: i64,
    pub data: Vec<T>,
}

impl<T> Page<T> {
    pub fn new(page: i64, limit: i64, total: i64, data: Vec<T>) -> Self {
        Self {
            current_page: page,
            last_page: ((total + limit - 1) / limit).max(1),
            per_page: limit,
            total,
            data,
        }
    }
}

/// A stretch of a list that grows without bound.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stretch<T> {
    pub data: Vec<T>,
    /// For the next call's `cursor`; "" at the end.
    pub next_cursor: String,
}

/// Unix seconds of a stored time in milliseconds; 0 stays 0.
pub fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// Cuts `limit + 1` rows to `limit`; the cursor of the next stretch, "" when there is none.
pub fn stretch<T>(rows: &mut Vec<T>, limit: u64, id: impl Fn(&T) -> i64) -> String {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(|row| id(row).to_string()).unwrap_or_default()
}

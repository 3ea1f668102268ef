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

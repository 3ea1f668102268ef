//! What all answers and queries of this service share (`spec/report-admin-api.md`, "Result envelopes",
//! "Paging in"): the envelopes with their two keys, pages, and amounts in yuan.

use platform::http::Fields;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;
use utoipa::{PartialSchema, ToSchema, openapi::schema};

/// Rows on a page when the query does not say.
pub const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 1000;

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

/// `{"status": 0, "date": …}`: the key some endpoints of the contract use.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dated<T> {
    /// 0 = success.
    pub status: u16,
    #[serde(rename = "date")]
    pub result: T,
}

impl<T> Dated<T> {
    pub fn new(result: T) -> Self {
        Self { status: 0, result }
    }
}

/// The id of what was added, changed or deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Id {
    pub id: i64,
}

/// One page of rows.
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
    pub fn new(paging: Paging, total: i64, data: Vec<T>) -> Self {
        let last_page = ((total + paging.limit - 1) / paging.limit).max(1);
        Self { current_page: paging.page, last_page, per_page: paging.limit, total, data }
    }
}

/// `page` from 1 and `limit` of a query.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    pub page: i64,
    pub limit: i64,
}

impl Paging {
    pub fn read(f: &mut Fields<'_>) -> Self {
        let page = f.optional_int("page", 1..=i64::MAX).unwrap_or(1);
        let limit = f.optional_int("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
        Self { page, limit }
    }

    /// Rows before this page.
    pub fn offset(self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }
}

/// An amount inside (fen), a number of yuan on the wire: an integer when whole, never through a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Yuan(pub i64);

impl Yuan {
    fn text(self) -> String {
        let (yuan, cents) = (self.0 / 100, (self.0 % 100).unsigned_abs());
        format!("{yuan}.{cents:02}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for Yuan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl PartialSchema for Yuan {
    fn schema() -> utoipa::openapi::RefOr<schema::Schema> {
        schema::ObjectBuilder::new()
            .schema_type(schema::Type::Number)
            .description(Some("Yuan, at most two decimals"))
            .into()
    }
}

impl ToSchema for Yuan {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_yuan_are_integers_and_the_rest_has_no_rounding() {
        for (fen, json) in [
            (0, "0"),
            (10_000, "100"),
            (1_999, "19.99"),
            (1_990, "19.9"),
            (5, "0.05"),
            (100_000, "1000"),
            (99_999_999_999_999, "999999999999.99"),
        ] {
            assert_eq!(serde_json::to_string(&Yuan(fen)).expect("JSON"), json);
            let value = serde_json::to_value(Yuan(fen)).expect("a value");
            assert_eq!(value.is_i64() || value.is_u64(), fen % 100 == 0, "{json}");
        }
    }

    #[test]
    fn the_last_page_is_at_least_one() {
        let paging = Paging { page: 1, limit: 20 };
        let last = |total| Page::<()>::new(paging, total, Vec::new()).last_page;
        assert_eq!([last(0), last(1), last(20), last(21)], [1, 1, 1, 2]);
    }
}

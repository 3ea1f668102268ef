//! What all features of this service put on the wire alike: the envelope, pages, times, texts of names.

use contracts::identity::CallerKind;
use platform::http::{ApiError, Fields, ForbiddenKind, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::audit::Who;

/// Longest name of a person or thing, characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Longest remark, characters.
pub const MAX_REMARK_CHARS: usize = 500;
/// Ids in one list field.
pub const MAX_IDS: usize = 1000;
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 1000;
const MAX_PAGE: i64 = 1_000_000;

/// A good answer: `{"status": 0, "data": …}` (`spec/management-api.md`).
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T> {
    /// Always 0.
    pub status: u16,
    pub data: T,
}

pub use crate::http_answer::ok;

/// The id of what was made or changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdOnly {
    pub id: i64,
}

/// An answer without content.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nothing {}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub current_page: u64,
    pub last_page: u64,
    pub per_page: u64,
    pub total: u64,
    pub data: Vec<T>,
}

/// The parameters every paged list takes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)] // for the OpenAPI document; read by [`Paging::read`]
pub struct PagingParams {
    /// From 1.
    page: Option<u64>,
    /// At most 1000, 20 by default.
    limit: Option<u64>,
}

/// `page` from 1 and `limit`, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    pub page: u64,
    pub limit: u64,
}

impl Paging {
    /// Reads `page` and `limit`; zero, negative and what is no number are errors.
    pub fn read(f: &mut Fields<'_>) -> Self {
        let mut whole =
            |name, max, default: i64| f.optional_int(name, 1..=max).unwrap_or(default).unsigned_abs();
        Self { page: whole("page", MAX_PAGE, 1), limit: whole("limit", MAX_LIMIT, DEFAULT_LIMIT) }
    }

    pub fn offset(self) -> u64 {
        (self.page - 1) * self.limit
    }

    /// The page of `total` rows in all; an empty list has one page.
    pub fn page<T>(self, data: Vec<T>, total: u64) -> Page<T> {
        let last_page = total.div_ceil(self.limit).max(1);
        Page { current_page: self.page, last_page, per_page: self.limit, total, data }
    }
}

/// Unix milliseconds of a table as unix seconds of the wire; 0 stays 0.
pub fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// The operator behind a request. The gateway lets nobody else through to these routes; this is the second lock.
///
/// # Errors
/// 403/3 for partners' logins and for callers without a token.
pub fn operator(identity: &Identity) -> Result<Who, ApiError> {
    match identity.caller.kind {
        CallerKind::Account => Ok(Who::from(identity)),
        CallerKind::Partner | CallerKind::Anonymous => Err(ApiError::forbidden(ForbiddenKind::NotGranted)),
    }
}

/// The form in which names are compared: two that differ in case only are the same name.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A name, 1 to 64 characters without control characters; "" and an error noted when it is none.
pub fn required_name(f: &mut Fields<'_>, field: &str) -> String {
    let name = f.required_text(field, MAX_NAME_CHARS);
    checked_name(f, field, name)
}

/// As [`required_name`]; absent = unchanged, empty is an error.
pub fn optional_name(f: &mut Fields<'_>, field: &str) -> Option<String> {
    f.has(field).then(|| required_name(f, field))
}

fn checked_name(f: &mut Fields<'_>, field: &str, name: String) -> String {
    if name.chars().any(char::is_control) {
        f.error(field, "含有不允许的字符", "contains a character that is not allowed");
    }
    name
}

/// `enabled` (`true`, `1`) or the words of `status` (`enabled`, `disabled`).
pub fn optional_status(f: &mut Fields<'_>) -> Option<bool> {
    match f.optional_text("status", 16)?.as_str() {
        "enabled" => Some(true),
        "disabled" => Some(false),
        _ => {
            f.error("status", "必须是 enabled 或 disabled", "must be enabled or disabled");
            None
        }
    }
}

/// The word for a `status` on the wire.
pub fn status_word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// A list of ids as a table keeps it.
pub fn ids_text(ids: &[i64]) -> String {
    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", texts.join(","))
}

/// A list of ids as a table keeps it, read back.
pub fn read_ids(text: &str) -> Vec<i64> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_from_one_and_an_empty_list_has_one() {
        let paging = Paging { page: 3, limit: 20 };
        assert_eq!(paging.offset(), 40);
        assert_eq!(paging.page(vec![1], 41).last_page, 3);
        assert_eq!(paging.page(vec![1], 40).last_page, 2);
        assert_eq!(paging.page::<i64>(vec![], 0).last_page, 1);
    }

    #[test]
    fn names_that_differ_in_case_are_the_same() {
        assert_eq!(name_key(" Admin "), name_key("admin"));
        assert_eq!(name_key("晨光书店"), "晨光书店");
    }
}

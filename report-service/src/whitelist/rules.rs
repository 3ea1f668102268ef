//! What an entry may look like. Pure.

use platform::http::{Fields, FromFields};
use utoipa::ToSchema;

/// Readings of one entry or report at the most.
pub const MAX_READS: i64 = 1_000_000_000;
/// Characters of a name, position or company.
pub const MAX_TEXT: usize = 255;
/// Rows of a `white_list` in one request.
pub const MAX_ROWS: usize = 10_000;

/// A new entry, as it comes in a request or a workbook row.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
pub struct NewEntry {
    #[schema(required = false)]
    pub given_user: String,
    #[schema(required = false)]
    pub given_position: String,
    #[schema(required = false)]
    pub given_company: String,
    pub mobile: String,
    pub read_count: i64,
    /// 0 enabled (default), 1 disabled.
    #[schema(required = false)]
    pub state: i16,
}

impl FromFields for NewEntry {
    fn read(f: &mut Fields<'_>) -> Self {
        let given_user = f.optional_text("given_user", MAX_TEXT).unwrap_or_default();
        let given_position = f.optional_text("given_position", MAX_TEXT).unwrap_or_default();
        let given_company = f.optional_text("given_company", MAX_TEXT).unwrap_or_default();
        Self {
            given_user,
            given_company,
            mobile: f.required_mobile("mobile"),
            given_position,
            read_count: f.required_int("read_count", 0..=MAX_READS),
            state: read_state(f).unwrap_or(0),
        }
    }
}

impl NewEntry {
    /// A `white_list` row of a new report: where `mobile` is absent and `given_position` is an 11-digit
    /// mobile number, that number is the mobile (`spec/report-admin-api.md`, "Reports").
    pub fn read_in_report(f: &mut Fields<'_>) -> Self {
        let position = f.value("given_position").cloned();
        let stands_in = !f.has("mobile") && position.as_ref().and_then(mobile_in_position).is_some();
        if !stands_in {
            return Self::read(f);
        }
        let given_user = f.optional_text("given_user", MAX_TEXT).unwrap_or_default();
        let given_company = f.optional_text("given_company", MAX_TEXT).unwrap_or_default();
        let mobile = position.as_ref().and_then(mobile_in_position).unwrap_or_default();
        Self {
            given_user,
            given_position: f.optional_text("given_position", MAX_TEXT).unwrap_or_default(),
            given_company,
            mobile,
            read_count: f.required_int("read_count", 0..=MAX_READS),
            state: read_state(f).unwrap_or(0),
        }
    }
}

/// The 11-digit mobile number that stands where a position should.
fn mobile_in_position(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let mobile = platform::http::values::normal_mobile(&text);
    (mobile.len() == 11 && mobile.starts_with('1') && mobile.bytes().all(|b| b.is_ascii_digit()))
        .then_some(mobile)
}

/// `state`: 0 enabled, 1 disabled.
pub fn read_state(f: &mut Fields<'_>) -> Option<i16> {
    f.optional_int("state", 0..=1).map(|state| if state == 1 { 1 } else { 0 })
}

#[cfg(test)]
mod tests {
    use platform::http::fields::read;
    use serde_json::{Value, json};

    use super::*;

    struct InReport(NewEntry);

    impl FromFields for InReport {
        fn read(f: &mut Fields<'_>) -> Self {
            Self(NewEntry::read_in_report(f))
        }
    }

    fn entry(row: Value) -> Result<NewEntry, Vec<String>> {
        let Value::Object(row) = row else { panic!("an object") };
        read::<InReport>(&row)
            .map(|e| e.0)
            .map_err(|e| e.errors().iter().map(|(name, _)| name.clone()).collect())
    }

    #[test]
    fn a_position_that_is_a_mobile_number_stands_in_for_a_missing_one() {
        let read = entry(json!({"given_user": "朱思嘉", "given_position": "18434910083", "read_count": 100}));
        let read = read.expect("read");
        assert_eq!((read.mobile.as_str(), read.given_position.as_str()), ("18434910083", "18434910083"));
        let number = entry(json!({"given_position": 18434910083_i64, "read_count": 1})).expect("read");
        assert_eq!(number.mobile, "18434910083");
        let both = entry(json!({"given_position": "18434910083", "mobile": "13900000000", "read_count": 1}));
        assert_eq!(both.expect("read").mobile, "13900000000");
        assert_eq!(entry(json!({"given_position": "php", "read_count": 1})), Err(vec!["mobile".into()]));
        assert_eq!(
            entry(json!({"given_position": "184349100831"})),
            Err(vec!["mobile".into(), "read_count".into()])
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        let row = json!({"mobile": "abc", "read_count": -1, "state": 2, "given_user": {"a": 1}});
        let errors = entry(row).expect_err("refused");
        assert_eq!(errors, ["given_user", "mobile", "read_count", "state"]);
    }
}

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

/// A change of an entry; absent = unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, ToSchema)]
pub struct EntryChange {
    pub given_user: Option<String>,
    pub given_position: Option<String>,
    pub given_company: Option<String>,
    pub mobile: Option<String>,
    pub read_count: Option<i64>,
    /// Above `read_count` it raises that too.
    pub residue_count: Option<i64>,
    /// 0 enabled, 1 disabled.
    pub state: Option<i16>,
}

impl FromFields for EntryChange {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            given_user: f.optional_text("given_user", MAX_TEXT),
            given_position: f.optional_text("given_position", MAX_TEXT),
            given_company: f.optional_text("given_company", MAX_TEXT),
            mobile: f.optional_mobile("mobile"),
            read_count: f.optional_int("read_count", 0..=MAX_READS),
            residue_count: f.optional_int("residue_count", 0..=MAX_READS),
            state: read_state(f),
        }
    }
}

impl EntryChange {
    /// The entry this makes where there was none, if it says how many readings it grants.
    pub fn into_new(self) -> Option<NewEntry> {
        let (read_count, residue) = match (self.read_count, self.residue_count) {
            (None, None) => return None,
            (read, residue) => counters((0, 0), read, residue),
        };
        Some(NewEntry {
            given_user: self.given_user.unwrap_or_default(),
            given_position: self.given_position.unwrap_or_default(),
            given_company: self.given_company.unwrap_or_default(),
            mobile: self.mobile.unwrap_or_default(),
            // A new entry has all its readings left.
            read_count: if self.read_count.is_some() { read_count } else { residue },
            state: self.state.unwrap_or(0),
        })
    }
}

/// (`read_count`, `residue_count`) after a change. A residue above the total raises the total; a new total
/// alone keeps what is used.
pub fn counters((read, residue): (i64, i64), new_read: Option<i64>, new_residue: Option<i64>) -> (i64, i64) {
    match (new_read, new_residue) {
        (None, None) => (read, residue),
        (None, Some(left)) => (read.max(left), left),
        (Some(total), None) => (total, (total - (read - residue)).max(0)),
        (Some(total), Some(left)) => (total.max(left), left),
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
    fn counters_never_fall_below_zero_or_above_the_total() {
        for (from, read, residue, expected) in [
            ((100, 40), None, None, (100, 40)),
            ((100, 40), None, Some(70), (100, 70)),
            ((100, 40), None, Some(150), (150, 150)),
            ((100, 40), None, Some(0), (100, 0)),
            ((100, 40), Some(200), None, (200, 140)),
            ((100, 40), Some(50), None, (50, 0)),
            ((100, 40), Some(0), None, (0, 0)),
            ((100, 40), Some(10), Some(20), (20, 20)),
        ] {
            assert_eq!(counters(from, read, residue), expected, "{from:?} {read:?} {residue:?}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let row = json!({"mobile": "abc", "read_count": -1, "state": 2, "given_user": {"a": 1}});
        let errors = entry(row).expect_err("refused");
        assert_eq!(errors, ["given_user", "mobile", "read_count", "state"]);
    }
}

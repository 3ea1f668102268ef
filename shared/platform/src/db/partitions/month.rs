use chrono::Datelike;

use crate::{clock, ids};

/// A month of the UTC calendar, counted from year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(pub i32);

impl Month {
    pub fn of(ms: i64) -> Self {
        let day = clock::instant(ms);
        Self(day.year() * 12 + day.month0() as i32)
    }

    pub fn of_id(id: i64) -> Self {
        Self::of(ids::made_at_ms(id))
    }

    pub fn plus(self, months: i32) -> Self {
        Self(self.0.saturating_add(months))
    }

    /// The smallest id of the month.
    pub fn floor(self) -> i64 {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) as u32 + 1);
        let day = chrono::NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        ids::floor_at(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
    }

    /// `orders_p202611`.
    pub fn partition(self, table: &str) -> String {
        format!("{table}_p{:04}{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    pub fn of_partition(table: &str, name: &str) -> Option<Self> {
        let digits = name.strip_prefix(table)?.strip_prefix("_p").filter(|d| d.len() == 6)?;
        let (year, month): (i32, i32) = (digits[..4].parse().ok()?, digits[4..].parse().ok()?);
        (1..=12).contains(&month).then(|| Self(year * 12 + month - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_their_ids_do_and_keep_their_names() {
        let month = Month::of(1_795_269_845_026);
        assert_eq!(month.partition("orders"), "orders_p202611");
        assert_eq!(Month::of_partition("orders", "orders_p202611"), Some(month));
        assert_eq!(month.plus(2).partition("orders"), "orders_p202701");
        assert_eq!(Month::of_id(month.floor()), month);
        assert_eq!(Month::of_id(month.floor() - 1), month.plus(-1));
        for name in ["orders_default", "orders_p2026", "orders_p202613", "orders_p20261x", "other_p202611"] {
            assert_eq!(Month::of_partition("orders", name), None, "{name}");
        }
    }
}

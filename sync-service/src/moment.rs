//! Moments as callers write them, in the business time zone.

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use platform::{clock, http::Fields};

/// A moment as a caller writes it: with or without a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Day(NaiveDate),
    Second(NaiveDateTime),
}

impl Moment {
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_time = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
        if let Some(at) = with_time.iter().find_map(|f| NaiveDateTime::parse_from_str(text, f).ok()) {
            return Some(Self::Second(at));
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Self::Day)
    }

    /// An optional field that holds a moment.
    pub fn field(f: &mut Fields<'_>, name: &str) -> Option<Self> {
        let text = f.optional_text(name, 32).filter(|t| !t.is_empty())?;
        let moment = Self::read(&text);
        if moment.is_none() {
            let (zh, en) =
                ("必须是 YYYY-MM-DD HH:MM:SS 或 YYYY-MM-DD", "must be YYYY-MM-DD HH:MM:SS or YYYY-MM-DD");
            f.error(name, zh, en);
        }
        moment
    }

    /// Its first millisecond (unix) in the business time zone.
    pub fn first_ms(self, tz: Tz) -> i64 {
        match self {
            Self::Day(day) => clock::day_start_ms(day, tz),
            Self::Second(at) => local_ms(at, tz),
        }
    }

    /// Its last millisecond.
    pub fn last_ms(self, tz: Tz) -> i64 {
        match self {
            Self::Day(day) => day.succ_opt().map_or(i64::MAX, |next| clock::day_start_ms(next, tz) - 1),
            Self::Second(at) => local_ms(at, tz) + 999,
        }
    }
}

fn local_ms(at: NaiveDateTime, tz: Tz) -> i64 {
    match tz.from_local_datetime(&at).earliest() {
        Some(t) => t.timestamp_millis(),
        // Inside a gap of the time zone: the day's start is near enough.
        None => clock::day_start_ms(at.date(), tz),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_seconds_have_a_first_and_a_last_millisecond() {
        let span = |text| {
            let m = Moment::read(text).expect(text);
            (clock::rfc3339(m.first_ms(Tz::Asia__Shanghai)), clock::rfc3339(m.last_ms(Tz::Asia__Shanghai)))
        };
        assert_eq!(
            span("2024-09-01"),
            ("2024-08-31T16:00:00.000Z".into(), "2024-09-01T15:59:59.999Z".into())
        );
        let second = ("2024-09-01T04:05:06.000Z".to_owned(), "2024-09-01T04:05:06.999Z".to_owned());
        assert_eq!(span(" 2024-09-01 12:05:06 "), second);
        assert_eq!(span("2024-09-01T12:05:06"), second);
        for bad in ["", "now", "2024-9", "2024-02-30", "01.09.2024", "2024-09-01 25:00:00", "1725120000"] {
            assert_eq!(Moment::read(bad), None, "{bad}");
        }
    }
}

//! The time, handed in: production reads the system's clock, a test moves its own.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// A clock. Cheap to clone; clones of a manual clock move together.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `ms` (unix milliseconds) until `advance_ms` moves it.
    pub fn manual(ms: i64) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(ms))))
    }

    /// Unix milliseconds.
    #[allow(clippy::disallowed_methods)] // the one place that reads the system's clock
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::System => Utc::now().timestamp_millis(),
            Source::Manual(ms) => ms.load(Ordering::SeqCst),
        }
    }

    /// Unix seconds.
    pub fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Moves a manual clock forward; the system's clock cannot be moved.
    pub fn advance_ms(&self, by: i64) {
        if let Source::Manual(ms) = &self.0 {
            ms.fetch_add(by, Ordering::SeqCst);
        }
    }
}

/// `ms` as an instant; out-of-range values become the epoch rather than a panic.
pub fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds, as event envelopes carry it.
pub fn rfc3339(ms: i64) -> String {
    instant(ms).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// `YYYY-MM-DD HH:MM:SS` in the business time zone, "" for 0 (`spec/report-admin-api.md`, "Unset times").
pub fn local_text(ms: i64, tz: Tz) -> String {
    if ms == 0 {
        return String::new();
    }
    instant(ms).with_timezone(&tz).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// First millisecond of `day` in the business time zone. A day that starts inside a gap starts at its end.
pub fn day_start_ms(day: chrono::NaiveDate, tz: Tz) -> i64 {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    tz.from_local_datetime(&midnight)
        .earliest()
        .or_else(|| tz.from_local_datetime(&(midnight + chrono::TimeDelta::hours(1))).earliest())
        .map_or_else(|| midnight.and_utc().timestamp_millis(), |t| t.timestamp_millis())
}

/// The business day `ms` falls on.
pub fn local_date(ms: i64, tz: Tz) -> chrono::NaiveDate {
    instant(ms).with_timezone(&tz).date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_start_at_midnight_in_shanghai() {
        let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 21).expect("a date");
        let start = day_start_ms(day, chrono_tz::Asia::Shanghai);
        assert_eq!(rfc3339(start), "2026-11-20T16:00:00.000Z");
        assert_eq!(local_text(start, chrono_tz::Asia::Shanghai), "2026-11-21 00:00:00");
        assert_eq!(local_date(start, chrono_tz::Asia::Shanghai), day);
        assert_eq!(local_text(0, chrono_tz::Asia::Shanghai), "");
    }

    #[test]
    fn a_manual_clock_moves_with_its_clones() {
        let clock = Clock::manual(5);
        clock.clone().advance_ms(10);
        assert_eq!(clock.now_ms(), 15);
    }
}

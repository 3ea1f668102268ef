//! When a report is on sale, as data and pure functions.

use chrono::{NaiveDateTime, NaiveTime};

/// `status` on the wire and in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Waiting,
    Published,
    Withdrawn,
}

impl Status {
    pub fn number(self) -> i16 {
        match self {
            Self::Waiting => 0,
            Self::Published => 1,
            Self::Withdrawn => 2,
        }
    }

    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Published,
            2 => Self::Withdrawn,
            _ => Self::Waiting,
        }
    }
}

/// Where a report stands between waiting and withdrawn. Times are unix milliseconds, 0 = unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    pub status: Status,
    /// The publish time as shown.
    pub publish_at: i64,
    /// When the service publishes the report by itself; 0 = not scheduled.
    pub due_at: i64,
}

/// Where a report goes when its status and publish time are given: published without a time = now; with a
/// future time = scheduled, waiting until then.
pub fn shelve(status: Status, publish_time: Option<i64>, now: i64) -> Shelf {
    match (status, publish_time) {
        (Status::Published, Some(time)) if time > now => {
            Shelf { status: Status::Waiting, publish_at: time, due_at: time }
        }
        (Status::Published, time) => Shelf { status, publish_at: time.unwrap_or(now), due_at: 0 },
        (Status::Waiting | Status::Withdrawn, time) => {
            Shelf { status, publish_at: time.unwrap_or(0), due_at: 0 }
        }
    }
}

/// Where a report goes when it is changed; absent = unchanged. A status without a time: published = now, unless
/// it is on sale already; waiting = off the schedule. Sending back what the detail shows of a scheduled
/// report (waiting, with its time) keeps the schedule.
pub fn reshelve(shelf: Shelf, status: Option<Status>, publish_time: Option<i64>, now: i64) -> Shelf {
    let scheduled = shelf.due_at > 0;
    match (status, publish_time) {
        (None, None) => shelf,
        (None, Some(_)) => {
            shelve(if scheduled { Status::Published } else { shelf.status }, publish_time, now)
        }
        (Some(Status::Waiting), Some(time)) if scheduled && time / 1000 == shelf.due_at / 1000 => shelf,
        (Some(status), None) if status == shelf.status && !scheduled => shelf,
        (Some(Status::Withdrawn), None) => {
            Shelf { status: Status::Withdrawn, publish_at: shelf.publish_at, due_at: 0 }
        }
        (Some(status), time) => shelve(status, time, now),
    }
}

/// The last part of a storage key or URL, without query: `static/test.pdf` → `test.pdf`.
pub fn file_base(src: &str) -> &str {
    let path = src.split(['?', '#']).next().unwrap_or(src);
    path.rsplit('/').next().unwrap_or(path)
}

/// A file's name with its format: (`test`, `pdf`) → `test.pdf`, (`test.pdf`, `pdf`) → `test.pdf`.
pub fn file_full(name: &str, format: &str) -> String {
    let format = format.trim_start_matches('.');
    let ending = format!(".{format}").to_lowercase();
    if format.is_empty() || name.to_lowercase().ends_with(&ending) {
        name.to_owned()
    } else {
        format!("{name}.{format}")
    }
}

/// Reads a time as people write it: `2022-06-22 08:00:00`, `2022-06-22 8:00`, `2022-06-22T08:00:00`, `2022-06-22`.
pub fn parse_local_time(text: &str) -> Option<NaiveDateTime> {
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    if day.len() > 10 || text.len() > 30 {
        return None;
    }
    let day = platform::http::values::parse_date(day)?;
    Some(day.and_time(parse_time(time.trim())?))
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    if text.is_empty() {
        return Some(NaiveTime::MIN);
    }
    let mut parts = [0_u32; 3];
    let mut n = 0;
    for part in text.split(':') {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *parts.get_mut(n)? = part.parse().ok().filter(|_| digits)?;
        n += 1;
    }
    if n < 2 {
        return None;
    }
    NaiveTime::from_hms_opt(parts[0], parts[1], parts[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    #[test]
    fn adding_follows_the_page() {
        let shelf = |status, publish_at, due_at| Shelf { status, publish_at, due_at };
        use Status::{Published, Waiting, Withdrawn};
        for (status, time, expected) in [
            (Published, None, shelf(Published, NOW, 0)),
            (Published, Some(NOW - 5), shelf(Published, NOW - 5, 0)),
            (Published, Some(NOW), shelf(Published, NOW, 0)),
            (Published, Some(NOW + 5), shelf(Waiting, NOW + 5, NOW + 5)),
            (Waiting, None, shelf(Waiting, 0, 0)),
            (Waiting, Some(NOW + 5), shelf(Waiting, NOW + 5, 0)),
            (Withdrawn, None, shelf(Withdrawn, 0, 0)),
            (Withdrawn, Some(NOW + 5), shelf(Withdrawn, NOW + 5, 0)),
        ] {
            assert_eq!(shelve(status, time, NOW), expected, "{status:?} {time:?}");
        }
    }

    #[test]
    fn changing_follows_the_page() {
        use Status::{Published, Waiting, Withdrawn};
        let shelf = |status, publish_at, due_at| Shelf { status, publish_at, due_at };
        let on_sale = shelf(Published, 500, 0);
        let scheduled = shelf(Waiting, NOW + 9_000, NOW + 9_000);
        let waiting = shelf(Waiting, 0, 0);
        let withdrawn = shelf(Withdrawn, 500, 0);
        for (from, status, time, expected) in [
            (on_sale, None, None, on_sale),
            (on_sale, Some(Published), None, on_sale),
            (on_sale, Some(Withdrawn), None, withdrawn),
            (on_sale, Some(Waiting), None, waiting),
            (on_sale, None, Some(NOW + 5), shelf(Waiting, NOW + 5, NOW + 5)),
            (on_sale, None, Some(400), shelf(Published, 400, 0)),
            (scheduled, None, None, scheduled),
            (scheduled, Some(Published), None, shelf(Published, NOW, 0)),
            (scheduled, Some(Waiting), None, waiting),
            (scheduled, Some(Waiting), Some(NOW + 9_000), scheduled),
            (scheduled, Some(Waiting), Some(NOW + 90_000), shelf(Waiting, NOW + 90_000, 0)),
            (scheduled, None, Some(NOW + 90_000), shelf(Waiting, NOW + 90_000, NOW + 90_000)),
            (scheduled, None, Some(400), shelf(Published, 400, 0)),
            (scheduled, Some(Withdrawn), None, shelf(Withdrawn, NOW + 9_000, 0)),
            (waiting, Some(Published), None, shelf(Published, NOW, 0)),
            (waiting, Some(Published), Some(NOW + 5), shelf(Waiting, NOW + 5, NOW + 5)),
            (waiting, None, Some(NOW + 5), shelf(Waiting, NOW + 5, 0)),
            (withdrawn, Some(Published), None, shelf(Published, NOW, 0)),
            (withdrawn, Some(Withdrawn), None, withdrawn),
        ] {
            assert_eq!(reshelve(from, status, time, NOW), expected, "{from:?} {status:?} {time:?}");
        }
    }

    #[test]
    fn files_are_named_by_their_last_part_and_by_name_and_format() {
        assert_eq!(file_base("static/test.pdf"), "test.pdf");
        assert_eq!(file_base("test.pdf"), "test.pdf");
        assert_eq!(file_base("https://a.example/b/报告.pdf?x=1/2"), "报告.pdf");
        assert_eq!(file_full("test", "pdf"), "test.pdf");
        assert_eq!(file_full("test", ".pdf"), "test.pdf");
        assert_eq!(file_full("Test.PDF", "pdf"), "Test.PDF");
        assert_eq!(file_full("test", ""), "test");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |h, m, s| chrono::NaiveDate::from_ymd_opt(2022, 6, 22).and_then(|d| d.and_hms_opt(h, m, s));
        for (text, expected) in [
            ("2022-06-22 08:00:00", at(8, 0, 0)),
            ("2022-06-22 9:00:00", at(9, 0, 0)),
            ("2022-6-22 23:59", at(23, 59, 0)),
            ("2022-06-22T08:00:01", at(8, 0, 1)),
            ("2022-06-22", at(0, 0, 0)),
        ] {
            assert_eq!(parse_local_time(text), expected, "{text}");
        }
        for text in [
            "",
            "8:00",
            "2022-06-22 8",
            "2022-06-22 25:00",
            "2022-13-22",
            "2022-06-22 08:00:00:00",
            "2022-06-22 08:00:00+08:00",
            "明天",
            "2022-06-2２ 08:00:00",
            "1655856000",
        ] {
            assert_eq!(parse_local_time(text), None, "{text}");
        }
    }
}

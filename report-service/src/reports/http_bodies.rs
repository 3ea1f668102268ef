//! What a report is made and changed with, as it comes over the wire.

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use platform::http::{Fields, FromFields};
use utoipa::ToSchema;

use super::{
    rules::{self, Status},
    service::{NewFile, NewReport, ReportChange},
};
use crate::whitelist::{
    rules::{EntryChange, MAX_READS, MAX_ROWS, NewEntry},
    service::RowChange,
};

pub(super) const MAX_TITLE: usize = 255;
const MAX_ADDRESS: usize = 1024;
const MAX_TEXT: usize = 100_000;
/// 1 TiB: a size nobody means.
const MAX_FILE_BYTES: i64 = 1 << 40;

/// A file that was uploaded to the storage, or lies elsewhere.
#[derive(Debug, ToSchema)]
pub struct FileBody {
    file_name: String,
    /// Absolute URL or storage key.
    src: String,
    format: String,
    /// Bytes.
    size: i64,
}

impl FromFields for FileBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            file_name: f.required_text("file_name", MAX_TITLE),
            src: f.required_text("src", MAX_ADDRESS),
            format: f.required_text("format", 32),
            size: f.required_int("size", 0..=MAX_FILE_BYTES),
        }
    }
}

impl From<FileBody> for NewFile {
    fn from(file: FileBody) -> Self {
        Self { name: file.file_name, src: file.src, format: file.format, size_bytes: file.size }
    }
}

/// A new report. Numbers may come as strings; forms nest with brackets: `file[src]=`, `white_list[0][mobile]=`.
#[derive(Debug, ToSchema)]
pub struct AddBody {
    title: String,
    /// Absolute URL or storage key.
    cover: String,
    type_id: Option<i64>,
    intro: String,
    directory: String,
    file: FileBody,
    #[schema(value_type = f64)]
    price: i64,
    read_count: i64,
    /// 0 waiting, 1 published, 2 withdrawn.
    #[schema(value_type = i64)]
    status: Status,
    /// `YYYY-MM-DD HH:MM:SS`; status 1 without it = now, with a future one = scheduled.
    #[schema(value_type = Option<String>)]
    publish_time: Option<NaiveDateTime>,
    short_intro: Option<String>,
    white_list: Option<Vec<NewEntry>>,
}

impl FromFields for AddBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            title: f.required_text("title", MAX_TITLE),
            cover: f.required_text("cover", MAX_ADDRESS),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            intro: f.required_text("intro", MAX_TEXT),
            directory: f.required_text("directory", MAX_TEXT),
            file: f.required_object("file", FileBody::read),
            price: f.required_yuan("price"),
            read_count: f.required_int("read_count", 0..=MAX_READS),
            status: Status::from_number(f.required_int("status", 0..=2)),
            publish_time: read_publish_time(f),
            short_intro: f.optional_text("short_intro", MAX_TEXT),
            white_list: f.optional_list("white_list", MAX_ROWS, NewEntry::read_in_report),
        }
    }
}

/// `publish_time` as a time of the business time zone; "" is absent.
fn read_publish_time(f: &mut Fields<'_>) -> Option<NaiveDateTime> {
    let text = f.optional_text("publish_time", 64).filter(|t| !t.is_empty())?;
    let time = rules::parse_local_time(&text);
    if time.is_none() {
        f.error(
            "publish_time",
            "必须是 YYYY-MM-DD HH:MM:SS 格式的时间",
            "must be a time as YYYY-MM-DD HH:MM:SS",
        );
    }
    time
}

impl AddBody {
    pub(super) fn into_report(self, tz: Tz) -> NewReport {
        NewReport {
            title: self.title,
            cover: self.cover,
            type_id: self.type_id.unwrap_or(0),
            intro: self.intro,
            directory: self.directory,
            short_intro: self.short_intro.unwrap_or_default(),
            file: self.file.into(),
            price_fen: self.price,
            read_count: self.read_count,
            status: self.status,
            publish_time: self.publish_time.map(|t| local_ms(t, tz)),
            white_list: self.white_list.unwrap_or_default(),
        }
    }
}

/// Unix milliseconds of a time in `tz`; a time the clock jumped over counts from the gap's end.
fn local_ms(time: NaiveDateTime, tz: Tz) -> i64 {
    use chrono::TimeZone as _;
    let resolved = tz
        .from_local_datetime(&time)
        .earliest()
        .or_else(|| tz.from_local_datetime(&(time + TimeDelta::hours(1))).earliest());
    resolved.map_or_else(|| time.and_utc().timestamp_millis(), |t| t.timestamp_millis())
}

/// A change of a report; absent = unchanged.
#[derive(Debug, ToSchema)]
pub struct ModifyBody {
    title: Option<String>,
    cover: Option<String>,
    type_id: Option<i64>,
    intro: Option<String>,
    directory: Option<String>,
    file: Option<FileBody>,
    #[schema(value_type = Option<f64>)]
    price: Option<i64>,
    read_count: Option<i64>,
    /// 0 waiting, 1 published, 2 withdrawn.
    #[schema(value_type = Option<i64>)]
    status: Option<Status>,
    /// `YYYY-MM-DD HH:MM:SS`; with status 1 a future one = scheduled.
    #[schema(value_type = Option<String>)]
    publish_time: Option<NaiveDateTime>,
    short_intro: Option<String>,
    white_list: Option<Vec<RowChange>>,
}

impl FromFields for ModifyBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            title: filled_text(f, "title", MAX_TITLE),
            cover: filled_text(f, "cover", MAX_ADDRESS),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            intro: filled_text(f, "intro", MAX_TEXT),
            directory: filled_text(f, "directory", MAX_TEXT),
            file: f.optional_object("file", FileBody::read),
            price: f.optional_yuan("price"),
            read_count: f.optional_int("read_count", 0..=MAX_READS),
            status: f.optional_int("status", 0..=2).map(Status::from_number),
            publish_time: read_publish_time(f),
            short_intro: f.optional_text("short_intro", MAX_TEXT),
            white_list: f.optional_list("white_list", MAX_ROWS, |f| RowChange {
                id: f.optional_int("id", 1..=i64::MAX),
                change: EntryChange::read(f),
            }),
        }
    }
}

/// A text that may be absent, but not empty: a report cannot do without it.
fn filled_text(f: &mut Fields<'_>, name: &str, max_chars: usize) -> Option<String> {
    f.has(name).then(|| f.required_text(name, max_chars))
}

impl ModifyBody {
    pub(super) fn into_change(self, tz: Tz) -> ReportChange {
        ReportChange {
            title: self.title,
            cover: self.cover,
            type_id: self.type_id,
            intro: self.intro,
            directory: self.directory,
            short_intro: self.short_intro,
            file: self.file.map(NewFile::from),
            price_fen: self.price,
            read_count: self.read_count,
            status: self.status,
            publish_time: self.publish_time.map(|t| local_ms(t, tz)),
            white_list: self.white_list.unwrap_or_default(),
        }
    }
}

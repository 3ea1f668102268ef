//! A file of any bytes, read as an upload is read.

use std::{
    fs::File,
    io::{Seek, Write},
    panic::{self, AssertUnwindSafe},
    sync::Mutex,
};

use platform::http::values::is_mobile;
use report_service::{
    whitelist::rules::{MAX_READS, MAX_TEXT},
    workbook::fuzzing::{Cell, MAX_CELL_CHARS, MAX_COLUMNS, MAX_ROWS, ReadError, judge, read_table},
};
use tempfile::NamedTempFile;

/// The last panic: where it happened and why.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Lets panics unwind. Where the reader's library panics on a damaged file, the reader catches it; libFuzzer's own
/// hook would end the process before that.
pub fn unwind() {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST.lock() {
            *last = info.to_string();
        }
    }));
}

/// A file that is written anew for each input.
pub struct Upload(NamedTempFile);

impl Default for Upload {
    fn default() -> Self {
        Self(NamedTempFile::new().expect("a temporary file"))
    }
}

impl Upload {
    /// Reads `bytes` as a file of this name; how many rows there were below the header. A panic that reaches this far
    /// ends the process.
    pub fn read(&mut self, bytes: &[u8], name: &str) -> u32 {
        let file: &mut File = self.0.as_file_mut();
        file.set_len(0).and_then(|()| file.rewind()).expect("an empty file");
        file.write_all(bytes).expect("room on the disk");
        panic::catch_unwind(AssertUnwindSafe(|| self.rows(name))).unwrap_or_else(|_| {
            eprintln!("{name}: {}", LAST.lock().expect("a message"));
            std::process::abort()
        })
    }

    /// What is taken of the file stays within the limits; what is refused is not put down to us.
    fn rows(&self, name: &str) -> u32 {
        let (mut rows, mut last) = (0, 0);
        let seen = read_table(self.0.path(), name, |columns, row| {
            rows += 1;
            assert!(row.number > last, "row {} after row {last}", row.number);
            last = row.number;
            assert!(row.cells.len() <= MAX_COLUMNS, "{} columns", row.cells.len());
            for cell in &row.cells {
                if let Cell::Text(text) = cell {
                    assert!((1..=MAX_CELL_CHARS).contains(&text.chars().count()), "{text:?}");
                }
            }
            if let Ok(entry) = judge(columns.pick(&row)) {
                assert!(is_mobile(&entry.mobile), "{:?}", entry.mobile);
                assert!((0..=MAX_READS).contains(&entry.read_count), "{}", entry.read_count);
                for text in [&entry.given_user, &entry.given_position, &entry.given_company] {
                    assert!(text.chars().count() <= MAX_TEXT && !text.contains('\0'), "{text:?}");
                }
            }
            Ok(())
        });
        assert!(rows <= MAX_ROWS, "{rows} rows");
        if let Err(e @ (ReadError::Io(_) | ReadError::Stopped)) = seen {
            panic!("the file is not to blame for {e}");
        }
        rows
    }
}

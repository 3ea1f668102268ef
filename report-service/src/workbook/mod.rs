//! The white list as a workbook: template, import, export, convert (`spec/report-admin-api.md`, "White list").
//!
//! Invariants: a file is read to its end before an entry is committed, so a refused file leaves nothing behind;
//! `total = success + repeat + error`; a batch is inserted, counted and dropped from the queue in one
//! transaction, so nothing is inserted twice; only a few batches of a file are in memory at a time.
//!
//! Routes: `/api/report/{report_id}/excel`, `…/import`, `…/import/{import_id}`, `…/import/{import_id}/error`,
//! `/api/white/example`.

mod download;
pub mod http;
mod http_upload;
pub mod jobs;
mod parse;
mod rules;
mod service;
mod service_job;
mod service_read;
mod service_tell;
mod store;
mod write;

/// Largest file that is taken.
pub const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// What `fuzz/` calls: a file's rows, and what a row means.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use super::{
        parse::{Cell, MAX_CELL_CHARS, MAX_COLUMNS, MAX_ROWS, ReadError, read_table},
        rules::judge,
    };
}

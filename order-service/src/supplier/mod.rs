//! The suppliers' side: download orders, report progress (`spec/supplier-api.md`).
//!
//! Routes: the drop-in entry (`http`; its name is a setting), whose clients read the body alone: HTTP 200
//! always; and the clean `/api/supplier/order/…` (`http_clean`) with correct codes and leased batches.
//!
//! Invariant: an order that is handed out with a change of state goes to exactly one caller, and its rows are
//! sent only after that is committed. An apikey is known by its SHA-256 alone and never logged.

mod access;
pub mod events;
mod hand_out;
pub mod http;
pub mod http_clean;
pub mod http_preview;
pub mod jobs;
mod lease;
mod print;
mod rules;
mod service;
mod store;

pub use store::poll_statement;

/// What `fuzz/` calls: a supplier's template, and a buyer's texts as suppliers get them.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use super::rules::{
        COLUMNS, Format, MAX_PLACEHOLDERS, MAX_TEMPLATE_CHARS, RowStyle, TemplateError, csv_line, example,
        json_row, value,
    };
    pub use crate::entities::{goods, orders};
}

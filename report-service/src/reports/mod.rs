//! Reports: what is sold, when it is on sale, where its file lies (`spec/report-admin-api.md`, "Reports").
//!
//! Invariants: every change raises `version` by one and is told by `report.changed` in the same
//! transaction; a scheduled report is published exactly once, also after the service was down at that moment.
//! Deleting is soft: orders and reading rights stay.
//!
//! Routes: `/api/report`, `/api/report/{report_id}`.

pub mod http;
mod http_bodies;
pub mod jobs;
mod rules;
pub mod service;
pub mod store;

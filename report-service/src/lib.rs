//! report-service: paid reports, and who may read them.
//!
//! Owns the reports with their publishing times, the white lists, the workbooks that fill and show those, the
//! counters of readings, and the storage of covers and files. Tables: `report`, `white_list_entry`,
//! `white_list_import` with its batches and refused rows, and `customer` and `order_right`, which follow orders.
//! Routes: `/api/report…`, `/api/white/example`, `/api/qiniu/…`, `/storage/…`.
//!
//! Events out: `report.changed` (goods of order-service keep in step), `whitelist.changed` and
//! `whitelist.batch_changed`, `reading.used`. Events in: `order.state_changed` (reading rights, `subscribe_count`),
//! `customer.changed` and `customer.batch_changed` (who the readers are).
//!
//! Deliberately absent: orders and money (order-service), tokens and permissions (gateway, auth-service).

pub mod app;
mod entities;
mod files;
pub mod migrations;
pub mod readings;
pub mod reports;
mod sql;
pub mod storage;
pub mod subscribers;
pub mod whitelist;
mod wire;
pub mod workbook;

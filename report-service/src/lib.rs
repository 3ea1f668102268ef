//! report-service: paid reports and who may read them without paying.
//!
//! Owns the tables `report` and `white_list_entry`, and the routes under `/api/report`.
//!
//! Tells the others `report.changed` (goods of order-service keep in step).
//!
//! Deliberately absent: orders and money (order-service), tokens and permissions (gateway, auth-service).

pub mod app;
mod entities;
mod files;
pub mod migrations;
pub mod reports;
mod sql;
pub mod storage;
pub mod whitelist;
mod wire;
pub mod workbook;

//! Orders as the report admin API shows them (`spec/report-admin-api.md`, 19-23).
//!
//! Route: `GET /api/order/{number}` (23). Reads only.

pub mod http;
pub mod rows;
pub mod store;

//! Orders as the report admin API shows them (`spec/report-admin-api.md`, 23), and how they came to be so.
//!
//! Routes: `GET /api/order/{number}` (23), `GET /api/order/{number}/timeline`. Reads only.

pub mod http;
pub mod http_timeline;
pub mod rows;
pub mod store;

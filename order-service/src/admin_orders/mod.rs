//! Orders as the report admin API shows them (`spec/report-admin-api.md`, 20, 22 and 23).
//!
//! Routes: `GET /api/order` (22), `GET /api/customer/{customer_id}/order` (20), `GET /api/order/{number}` (23). Reads only.
//!
//! Invariants the lists stand on: orders are never deleted, their ids rise with time, `checkout_at` is the
//! id's own millisecond and so is the beginning of `number`. So a window of days, or the beginning of a number, is a
//! stretch of ids, and "newest first" is by id.

pub mod http;
pub mod http_list;
mod page_map;
pub mod pages;
pub mod rows;
pub mod store;
pub mod store_list;

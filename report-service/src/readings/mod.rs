//! Using up a reading (`spec/orders.md`, "Reading rights"): the white list first, in order of id, then the
//! oldest order.
//!
//! Invariants: both counters change in this service's database, in one transaction with their events, so two
//! readings at once never use one twice and none falls below zero. A deleted report can still be read: rights stay.
//!
//! order-service follows by `reading.used`; the counter it shows is `quota - left`.
//!
//! Routes: `/api/report/{report_id}/read`.

pub mod http;
mod service;
mod store;

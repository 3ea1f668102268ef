//! Invoices: what stands in an order's `invoice_info` (`spec/report-admin-api.md`, 23).
//!
//! Route: `POST /api/order/{number}/invoice`. Invariant: an invoice is at most what the order brought in.

pub mod http;
mod service;
mod store;

pub use store::find;

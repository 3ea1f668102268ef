//! Orders and what they need: goods, customers, the two states of an order, the suppliers' entry.
//!
//! Tables: `goods`, `customer`, `orders` and `order_history` (both by month on PostgreSQL), `order_outer_id`,
//! `late_payment`, `invoice`, `supplier_key`, `supplier_batch`, `partner_goods`, `white_list_grant`.
//! Events in: `report.changed` (goods in step), `key.changed` (who may download),
//! `partner.changed` (whose goods), `reading.used`, `whitelist.changed` and `whitelist.batch_changed` (readers are
//! customers). Events out: `order.state_changed`, written by `lifecycle` in the transaction of each change,
//! `customer.changed`, `customer.batch_changed` and `key.used`. Asks sync-service for the callbacks of an order
//! whose timeline is looked at.
//!
//! Invariant: no code outside `lifecycle` writes an order's payment or fulfilment state.

mod admin_orders;
pub mod app;
mod customers;
mod entities;
mod goods;
mod intake;
mod invoices;
pub mod lifecycle;
mod migrations;
mod numbers;
mod partners;
mod readings;
mod requests;
pub mod seed;
mod stats;
mod supplier;
mod timeline;
mod wire;

#[cfg(feature = "fuzzing")]
pub use supplier::fuzzing;
#[doc(hidden)]
pub use {
    admin_orders::store_list::{Narrow, Rows, Stretch, page_statement},
    supplier::poll_statement,
};

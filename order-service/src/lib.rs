//! Orders and what they need: goods, customers, the two states of an order, the suppliers' entry.
//!
//! Tables: `goods`, `customer`, `orders`, `order_history`, `late_payment`, `supplier_key`, `supplier_batch`.
//! Events in: `report.changed` (goods in step), `key.changed` (who may download). Events out:
//! `order.state_changed`, written by `lifecycle` in the transaction of each change.
//!
//! Invariant: no code outside `lifecycle` writes an order's payment or fulfilment state.

mod admin_orders;
pub mod app;
mod customers;
mod entities;
mod goods;
mod intake;
pub mod lifecycle;
mod migrations;
mod supplier;
mod wire;

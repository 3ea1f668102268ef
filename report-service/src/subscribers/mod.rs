//! Who may read a report, by order or white list, and how much is left (`spec/report-admin-api.md`, 13).
//!
//! Owns a projection of paid report orders and of their customers, fed by `order.state_changed`, and
//! `subscribe_count`, which counts each paid order once.
//!
//! Deliberately absent: customers who have no order; order-service does not tell them. Somebody who stands in
//! a white list only has `user_id` 0 and no login and registration times.
//!
//! Routes: `/api/report/{report_id}/customer`. `readings` uses up the rights through [`store`].

pub mod events;
pub mod http;
pub mod store;

//! Who may read a report, by order or white list, and how much is left (`spec/report-admin-api.md`, 13).
//!
//! Owns a projection of paid report orders, fed by `order.state_changed`, and `subscribe_count`, which counts
//! each paid order once; and one of customers, fed by `customer.changed` (the highest version wins). A white-list
//! entry makes its mobile a customer there, which is told back here: until then, for a moment, it has `user_id` 0.
//!
//! Routes: `/api/report/{report_id}/customer`. `readings` uses up the rights through [`store`].

pub mod events;
pub mod http;
pub mod store;

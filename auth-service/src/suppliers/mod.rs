//! Suppliers: they work service orders off by the supplier API, with keys of their own (`keys/`).
//!
//! Routes: `/api/supplier`. Events out: `key.changed` for every key, as it carries the supplier's name and status.
//!
//! Invariants: deleting keeps the row, so that histories keep its name; its keys end with it.

pub mod http;
pub mod service;
pub mod store;

//! From a shop's wish to a paid order (`spec/orders.md`, "Intake and life"): place, pay, cancel, and the
//! time-out of what nobody paid. Every POST takes an Idempotency-Key.
//!
//! Routes: `/api/order`, `/api/order/{number}/pay`, `/api/order/{number}/cancel`. States move in `lifecycle` alone.

pub mod http;
pub mod jobs;
mod rules;
mod service;
mod store;

pub use service::{Birth, PlaceError, draft};

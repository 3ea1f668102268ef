//! What became of one order's changes on their way out. "Why has the partner (not) got it?": one sentence, and the
//! evidence behind it; and, step by step, what order-service puts into the order's timeline (ADR 0009).
//!
//! Routes: `/api/order/{number}/callbacks`; `/internal/order/{number}/callbacks`, for order-service alone.

pub mod http;
pub mod http_internal;
mod rules;
pub mod service;
mod store;

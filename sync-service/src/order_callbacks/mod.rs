//! "Why has the partner (not) got it?": one sentence about one order, and the evidence behind it.
//!
//! Routes: `/api/order/{number}/callbacks`.

pub mod http;
mod rules;

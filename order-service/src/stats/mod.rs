//! Figures and series for the home page (`spec/management-api.md`).
//!
//! A day that is over does not change any more: its figures are counted once for each process. Today is counted
//! anew every [`service::FRESH_MS`]. A payment counts on the day it came; refunds are not taken off.
//!
//! Route: `GET /api/stats/overview`. Reads only.

pub mod http;
pub mod service;
mod store;

pub use service::Stats;

//! Test data in bulk: `baodan seed --orders N`. Orders of the past, spread over states as a house's orders are, with the
//! histories that led there; told by `lifecycle`'s tables, so they cannot say what the tables do not allow.
//!
//! Invariant: orders that stand there are not touched. What is made lies before the oldest of them, and the outbox
//! stays as it is unless events are asked for.

mod rules;
mod service;
mod store;

pub use rules::Plan;
pub use service::{SeedError, Seeded, run};

//! The white list of a report: people who may read it without an order.
//!
//! Invariants: `0 <= residue_count <= read_count`; every change raises `version` by one and is told by
//! `whitelist.changed` in the same transaction. The same mobile may stand twice when added by hand.
//!
//! Other features call [`rules`] and [`service::add`].

pub mod rules;
pub mod service;
pub mod store;

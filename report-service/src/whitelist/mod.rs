//! The white list of a report: people who may read it without an order.
//!
//! Invariants: `0 <= residue_count <= read_count`; every change raises `version` by one and is told by
//! `whitelist.changed` (or, many at once, `whitelist.batch_changed`) in the same transaction. The same mobile
//! may stand twice when added by hand.
//!
//! Routes: `/api/report/{report_id}/white`, `…/white/{white_list_id}`.
//!
//! Other features call [`rules`], [`service::add`] and [`service::change_rows`].

pub mod http;
pub mod rules;
pub mod service;
pub mod store;

//! sync-service: tells partners what happens to their orders.
//!
//! **Owns** the tables `partner` (what it needs to know of partners, from auth-service's events), `subscription`,
//! `order_change` (the change feed), `delivery`, `delivery_queue`, `delivery_attempt`.
//! **Routes**: `/api/callback/…` (`spec/management-api.md`), with the promises of `spec/partner-sync-api.md`.
//! **Events in**: `order.state_changed`, `partner.changed`. **Events out**: none.
//!
//! The path of one change: the consumer `sync.orders` writes the change with its bytes and one delivery per
//! matching subscription in one transaction; the engine sends what is due over those stored bytes and records
//! results in batches. Where to read: `changes/events.rs` → `delivery/intake.rs` → `delivery/engine.rs` →
//! `delivery/record.rs`.
//!
//! Deliberately absent: reading other services' tables, sending from within a transaction, and any copy of an
//! order's row that could disagree with its last change.

pub mod app;
mod batch;
mod changes;
mod ctx;
pub mod delivery;
mod entities;
mod migrations;
mod partners;
mod subscriptions;
mod wire;

pub use ctx::Ctx;
pub use migrations::Migrator;

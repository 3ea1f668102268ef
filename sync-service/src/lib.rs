//! sync-service: tells partners what happens to their orders.
//!
//! **Owns** the tables `partner`, `partner_key`, `revoked_token` (what it needs to know of partners, from auth-service's
//! events), `subscription`, `signing_key`, `order_change` with `feed_head` and `feed_day` (the change feed), `sync_mark`,
//! `push_batch`, `delivery` and `delivery_attempt` (both by month on PostgreSQL), `delivery_queue`, `callback_alert`,
//! `retention_mark`.
//! **Routes**: the drop-in entry `/api/gth/syc/order`, `/api/callback/…`, `/api/order/{number}/callbacks`
//! (`spec/partner-sync-api.md`, `spec/management-api.md`). For order-service alone: `/internal/order/{number}/callbacks`.
//! **Events in**: `order.state_changed`, `partner.changed`, `key.changed`, `token.revoked`. **Events out**: `key.used`,
//! `audit.recorded`.
//!
//! The path of one change: the consumer `sync.orders` writes the change with its bytes and one delivery per
//! matching subscription in one transaction; the engine sends what is due over those stored bytes and records
//! results in batches. Where to read: `changes/events.rs` → `delivery/intake.rs` → `delivery/engine.rs` →
//! `delivery/record.rs`.
//!
//! Deliberately absent: reading other services' tables, sending from within a transaction, and any copy of an
//! order's row that could disagree with its last change.

pub mod app;
mod changes;
mod ctx;
pub mod delivery;
mod entities;
mod migrations;
mod moment;
mod order_callbacks;
mod partner_sync;
mod partners;
pub mod retention;
mod sealed;
mod sql;
mod statements;
mod subscriptions;
mod wire;

pub use ctx::Ctx;
pub use migrations::Migrator;
pub use order_callbacks::service::LocalCallbacks;
pub use sealed::SEALED;

//! What this service keeps of partners, from auth-service's events: how customers are shown to them, their login
//! and their keys. Secrets come sealed and stay so.
//!
//! Events in: `partner.changed`, `key.changed` (consumer `sync.partners`), `token.revoked` (consumer
//! `sync.tokens`). A partner that is disabled gets nothing sent until it is enabled again; its subscriptions collect.

pub mod events;
pub mod store;

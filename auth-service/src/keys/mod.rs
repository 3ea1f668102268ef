//! API keys of partners (drop-in sync entry) and suppliers (supplier API): making, changing, rotating, revoking.
//!
//! Routes: `/api/partner/{partner_id}/key`, `/api/supplier/{supplier_id}/key`. Events out: `key.changed`. Events in:
//! `key.used` (`events`), which is where `last_used_at` comes from, as the keys are checked in other services.
//!
//! Invariants: a key and its SK are shown once, in the answer that makes them; kept are the key's SHA-256 and first
//! characters, and the SK sealed, because md5 signatures need it in the clear. Rotating makes a new key with the same
//! settings beside the old one, which lives on for the overlap; both carry the same `root_id`. A revoked key never comes
//! back. A key is usable only while its owner is enabled.

pub mod events;
pub mod http_partner;
pub mod http_supplier;
pub mod rules;
pub mod sealed;
pub mod service;
pub mod store;

//! Who may do what: accounts, roles, permissions (= route names), access tokens, partners, suppliers, their
//! keys, and the audit of all of it (`spec/report-admin-api.md`, "Token"; `spec/management-api.md`).
//!
//! Owns the tables of `migrations/tables.sql` and the routes of `contracts::routes` with service `auth`,
//! and answers gateways of other processes on `GET /internal/policy`.
//!
//! Events out: `policy.changed` and `token.revoked` (gateways fetch the snapshot), `partner.changed`,
//! `distributor.changed`, `key.changed`. Events in: `key.used` (when a key was used last), `audit.recorded`
//! (changes in the other services).
//!
//! Where to start reading: `tokens/` for a login, `policy/` for what a gateway knows.
//!
//! Invariants: a change, its audit entry and its events are one transaction. Nothing that the policy snapshot
//! holds changes without its version. A password is kept as an argon2id hash, a key as its SHA-256; what must be
//! readable later (SK, apipwd) is sealed. No secret stands in an answer but in the one that creates it.
//! Deliberately absent: checking permissions of requests (the gateway's), checking keys (order-service's and
//! sync-service's, by `key.changed`).

pub mod accounts;
pub mod app;
pub mod audit;
pub mod bootstrap;
pub mod distributors;
pub mod entities;
pub mod http_answer;
pub mod keys;
pub mod migrations;
pub mod partners;
pub mod password;
pub mod policy;
pub mod roles;
pub mod suppliers;
pub mod throttle;
pub mod tokens;
pub mod wire;

pub use keys::sealed::SEALED;

//! The access policy: which permission names are registered, what roles hold, which accounts and tokens are good.
//! Gateways keep a snapshot of it and decide by that.
//!
//! Routes: `/api/permission`, and `GET /internal/policy` for gateways of other processes. Events out:
//! `policy.changed`, `token.revoked`.
//!
//! Invariants: whoever changes anything the snapshot holds calls [`service::lock`] first and
//! [`service::finish`] last, in one transaction; so changes follow each other and each has its own version. There is
//! always an enabled operator who can give out every permission again. Nobody gives what he does not hold.

pub mod http;
pub mod rules;
pub mod service;
pub mod store;

pub use service::LocalPolicy;

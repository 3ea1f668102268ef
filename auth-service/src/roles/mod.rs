//! Roles: named sets of permissions that accounts hold.
//!
//! Routes: `/api/role`. Events out: `policy.changed`.
//!
//! Invariants: a role holds registered permissions only. The built-in role, which gets every new permission at a start,
//! cannot be deleted; neither can a role that an account holds.

pub mod http;
pub mod service;
pub mod store;

//! Access tokens (`spec/report-admin-api.md`, "Token"): logging in, logging out, ending all tokens of an account,
//! who am I, a new password for oneself.
//!
//! Routes: `/api/access/*`. Events out: `token.revoked`.
//!
//! How tokens end before their time: one by its `jti`, listed until it would have expired anyway; all of an account
//! by `tokens_valid_from`, below which `iat` is dead. `iat` counts whole seconds, so a token and the end of all tokens
//! may fall into the same one. Therefore every account remembers the last `iat` it was given (written in the same
//! statement that lets the login happen): ending all sets `tokens_valid_from` above that and above the present second,
//! and a token made right after carries `iat = tokens_valid_from`, at most a moment in the future. Old tokens die,
//! new ones live, and clocks of replicas need not agree. `iat` in the future is no reason to refuse a token.

pub mod http;
pub mod jobs;
pub mod rules;
pub mod service;
mod store;

pub use service::Signer;

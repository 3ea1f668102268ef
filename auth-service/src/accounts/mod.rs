//! Accounts of operators: who may log in, under which name, with which roles. A partner's login is an account too, of
//! kind `partner`; it is shown here and changed with its partner (`partners/`), and it never holds roles.
//!
//! Routes: `/api/account`. Events out: `policy.changed`, `token.revoked`.
//!
//! Invariants: account names are unique without regard to case, over both kinds. A new password, a new name, disabling
//! and deleting end all tokens of the account. The last enabled administrator stays (`policy::service::finish`).

pub mod http;
pub mod rules;
pub mod service;
pub mod store;

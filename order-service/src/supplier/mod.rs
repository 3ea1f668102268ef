//! The suppliers' side: download orders, report progress (`spec/supplier-api.md`).
//!
//! Route: the drop-in entry `/admin_jiuwuxiaohun.php`, whose clients read the body alone: HTTP 200 always.
//! Invariant: an order that is handed out with a change of state goes to exactly one caller, and its rows are
//! sent only after that is committed. An apikey is known by its SHA-256 alone and never logged.

pub mod events;
pub mod http;
mod print;
mod rules;
mod service;
mod store;

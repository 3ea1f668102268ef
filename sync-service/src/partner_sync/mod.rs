//! The drop-in entry `/api/gth/syc/order` (`spec/partner-sync-api.md`): a partner's existing program asks for its
//! orders (channel 1) or registers for callbacks (channel 2), after changing the host name alone.
//!
//! Invariants: a partner gets its own orders only; the mark of a (key, type, api_url) moves in the transaction that
//! reads what lies behind it and along the feed's gapless order, so nothing is skipped and nothing comes twice;
//! HTTP is 200 whatever happens, `code` in the body counts.
//!
//! Files: [`access`] (who may), [`rules`] (parameters, signatures), [`service`] (both channels), [`push`].

pub mod access;
pub mod http;
mod push;
mod rules;
pub mod service;
pub mod store;
mod token;

//! An order's life in one column of time: its changes, the messages that tell subscriptions of them, and every attempt to
//! deliver those (`spec/management-api.md`).
//!
//! Changes are this service's own; messages and attempts are sync-service's, and are asked for when somebody looks (ADR
//! 0009): [`contracts::callbacks::CallbackLog`], in the same process or over HTTP ([`remote`]).
//!
//! Invariants: going on by `next_cursor` skips nothing and repeats nothing, whatever the size of a page, also when
//! sync-service was away for some of them. The answer does not wait for sync-service longer than two seconds, and says
//! so when it lacks what it would have told.
//!
//! Route: `GET /api/order/{number}/timeline`.

pub mod http;
pub mod remote;
mod rules;
mod store;

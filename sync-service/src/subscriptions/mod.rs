//! Subscriptions: who wants to be told of which changes, at what address, in which dialect.
//!
//! Invariants: a partner sees and makes its own only; secrets are sealed and shown once, when made; a
//! deleted subscription keeps its row (deliveries refer to it) and loses its queue.
//!
//! Routes: `/api/callback/subscription` and the actions below it. Others may call: [`store`] for store_reads, and of
//! [`service`] what takes a transaction.

pub mod http;
pub mod http_actions;
pub mod rules;
pub mod service;
pub mod store;

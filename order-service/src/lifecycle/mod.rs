//! The life of an order: its two state machines and the only code that moves them (`spec/orders.md`, "An
//! order has two states"; `spec/supplier-api.md`, "Fulfilment states").
//!
//! Invariant: a change is one compare-and-set on (id, version), one history row and one outbox row, in the
//! caller's transaction; `version` is the order_seq, gapless per order. Counters that tick without a change
//! of state are no change in this sense: they are saved, and travel with the next one.
//!
//! `rules` holds the tables as data, `service` and `fulfil` single orders, `batch` many at once (claims, time-outs,
//! leases), `past` lives that are told rather than lived, `store` and `store_bulk` the statements. Other features call [`Lifecycle`].

mod batch;
mod fulfil;
mod past;
pub mod rules;
mod service;
mod store;
mod store_bulk;

pub use batch::{Claim, Release, Span};
pub use past::{Deed, Told, tell};
pub use service::{By, Edit, Edited, Lifecycle, LifecycleError, Paid, Payment};

//! The change feed: one line per change of an order, in the order of commits, with the bytes partners get.
//!
//! Invariant: `seq` is gapless and its order is the order of commits, because it is taken from the one row
//! `feed_head`, whose lock is held until the commit. Whoever has read up to N has seen everything up to N;
//! neither `updated_at` nor an identity column could promise that.
//!
//! Routes: `/api/callback/events`. Events in: `order.state_changed` (consumer `sync.orders`). Others may call:
//! [`store`] for reads.

pub mod events;
pub mod http;
pub mod rules;
pub mod store;

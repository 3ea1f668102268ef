//! What the services promise each other: event envelope and payloads, the route table, the caller's
//! identity, the policy snapshot, an order's callbacks. Types and data only: no runtime, no HTTP, no database.

pub mod callbacks;
pub mod event;
pub mod events;
pub mod identity;
pub mod order_state;
pub mod policy;
pub mod routes;

//! sync-service as its users meet it: events in over the bus, callbacks out over HTTP, answers to people.
#![allow(clippy::unwrap_used)]

mod addresses;
mod bad_input;
mod claims;
mod deliveries;
mod dialects;
mod fixture;
mod order;
mod subscriptions;

//! sync-service as its users meet it: events in over the bus, callbacks out over HTTP, answers to people.
#![allow(clippy::unwrap_used)]

mod actions;
mod addresses;
mod alerts;
mod audit;
mod bad_input;
mod claims;
mod contract;
mod deliveries;
mod dialects;
mod feed;
mod fixture;
mod marks;
mod metrics;
mod months;
mod order;
mod order_callbacks;
mod partner_sync;
mod pressure;
mod retention;
mod secrets;
mod statements;
mod subscriptions;

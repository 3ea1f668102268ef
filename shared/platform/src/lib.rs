//! What every service stands on: settings, telemetry, database, bus, outbox, inbox, quotas, HTTP pieces,
//! clock and ids, lifecycle. Owns no business rule and no business table.

pub mod audit;
pub mod bus;
pub mod clock;
pub mod crash;
pub mod db;
pub mod http;
pub mod ids;
pub mod inbox;
pub mod lifecycle;
pub mod memory;
pub mod outbox;
pub mod quota;
pub mod rewrap;
pub mod run;
pub mod seal;
pub mod service;
pub mod settings;
pub mod telemetry;

pub use service::{Platform, Service};

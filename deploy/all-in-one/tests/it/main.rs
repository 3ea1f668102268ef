//! The system as its users start it: binaries as child processes, everything through the real gateway.
//! Embedded: `baodan` alone. Distributed: the five binaries on PostgreSQL, RabbitMQ and Redis.

#![allow(clippy::unwrap_used)]

mod api;
mod collector;
mod crash;
mod docs_page;
mod hostile;
mod observe;
mod partners;
mod process;
mod readers;
mod replicas;
mod report_api;
mod rotate;
mod start;
mod story;
mod system;
mod timeline;

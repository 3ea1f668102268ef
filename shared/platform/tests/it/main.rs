//! The platform on real databases and a real bus: nothing lost, nothing doubled, in order.

#![allow(clippy::unwrap_used)]

mod bench_table;
mod leases;
mod migrations;
mod outbox_inbox;
mod partitions;
mod transactions;

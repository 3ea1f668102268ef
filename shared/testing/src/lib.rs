//! What every integration test stands on: a bed with databases, bus and quotas of its own, services started
//! on it as production starts them, a client that signs as the gateway does, a receiver for callbacks.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
//! async fn a_report_that_was_added_is_in_the_list() {
//!     let bed = TestBed::new().await;
//!     let report = bed.start(report_service::app::build(&bed.shared).await.expect("report-service")).await;
//!     let id = report.post("/api/report").json(&body).send().await.expect_status(200).json()["data"]["id"].clone();
//!     let list = report.get("/api/report").as_partner(7).send().await.expect_status(200).json();
//!     …
//!     bed.finish().await; // every event delivered, nothing parked; forgetting this line fails the test
//! }
//! ```
//!
//! `BAODAN_TEST_MODE=distributed` runs the same test on PostgreSQL, RabbitMQ and Redis. No test sleeps:
//! it waits for a condition with [`wait_until`], or calls a job's `run_once` itself.
//!
//! Deliberately absent: fixtures of business data. They belong to the crates that own the data.

mod answer;
mod app;
mod bed;
mod client;
mod drain;
mod mode;
mod postgres;
mod raw;
mod receiver;
mod system;
mod tap;
mod wait;

pub use answer::Answer;
pub use app::App;
pub use bed::{ADMIN_PASSWORD, TestBed};
pub use client::{Client, Request};
pub use mode::{Mode, chromium, redis_url};
pub use raw::raw_http;
pub use receiver::{CallbackReceiver, Received, Reply};
pub use system::{forget_system, system_environment};
pub use wait::{Condition, PATIENCE, wait_at_most, wait_until};

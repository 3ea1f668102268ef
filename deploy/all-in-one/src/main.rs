//! `baodan`: the whole system in one process, for a laptop and for small houses.
//!
//! It keeps the system's allocator: mimalloc, which the gateway's own process has for its speed, holds on to
//! half as much memory again while nothing is going on.

mod cli;
mod openapi;
mod seed;
mod start;
mod story;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}

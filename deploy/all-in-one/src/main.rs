//! `baodan`: the whole system in one process, for a laptop and for small houses.

mod cli;
mod openapi;
mod seed;
mod start;
mod story;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}

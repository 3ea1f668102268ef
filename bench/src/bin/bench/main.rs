//! `bench`: the project's measurements, each with its baseline in the same run, written to `bench/results.md`.
//!
//! Everything is bounded in number and time and stays on the loopback. What a subject starts it ends, by process
//! id; what it puts into shared servers has a name of its own and is removed.

mod callbacks;
mod claims;
mod gateway;
mod idle;
mod lists;
mod orders;
mod upstream;
mod workbook;
mod wrk;

use bench::{
    complain,
    report::{self, Section},
    say,
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

const PREAMBLE: &str = "# 测量结果 Benchmark results\n\n\
    由 `make bench` 写成，请勿手改。每张表的基线与被测者在同一次运行中轮流测得，取中位数；单机回环地址，绝对数值只说明这台机器，比值才可以带走。\n\n\
    Written by `make bench`, not by hand. Baselines are measured in the same run, in alternation; figures are medians. Everything\n\
    runs on one machine's loopback, load generator included: ratios travel, absolute figures do not.\n";

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Measures Baodan against its baselines; `make bench` builds what it needs and runs all"
)]
struct Arguments {
    /// Where the findings are written.
    #[arg(long, global = true, default_value = "bench/results.md")]
    results: PathBuf,
    /// Fewer and shorter rounds: shows that a subject runs, not what it measures; nothing is written.
    #[arg(long, global = true)]
    quick: bool,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Clone, Subcommand)]
enum Subject {
    /// Every subject, one after the other.
    All,
    /// Requests a second and CPU of the gateway against HAProxy.
    Gateway,
    /// State change → callback: latency, sustained rate, cost; both modes.
    Callbacks,
    /// Suppliers at a large stock of orders: claims, downloads, polls.
    Claims,
    /// Placing and paying orders, both modes.
    Orders,
    /// Idle memory and start of the all-in-one.
    Idle,
    /// 100,000 rows of a workbook into the database, against openpyxl only reading them.
    Import,
    /// A page of a million orders with each filter, against the bare SQL.
    Lists,
    /// 1,000,000 rows out of the database into a workbook, against XlsxWriter writing constants.
    Export,
    /// The bare loop, a child of `callbacks`.
    #[command(hide = true)]
    BareSender(callbacks::bare::BareArgs),
    /// The empty server, a child of `idle`.
    #[command(hide = true)]
    EmptyServer { address: SocketAddr },
}

/// What `all` runs, in this order.
const ALL: [Subject; 8] = [
    Subject::Idle,
    Subject::Gateway,
    Subject::Callbacks,
    Subject::Claims,
    Subject::Orders,
    Subject::Import,
    Subject::Export,
    Subject::Lists,
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let measured = tokio::select! {
        measured = measure(&arguments) => measured,
        _ = tokio::signal::ctrl_c() => Err("interrupted; what was started has been ended".into()),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            complain("bench", &e);
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for.
async fn measure(arguments: &Arguments) -> Result<(), String> {
    match &arguments.subject {
        Subject::BareSender(child) => callbacks::bare::child(child).await,
        Subject::EmptyServer { address } => idle::empty_server(*address).await,
        Subject::All => subjects(&ALL, arguments).await,
        one => subjects(std::slice::from_ref(one), arguments).await,
    }
}

/// A subject that fails does not keep the others from being measured.
async fn subjects(subjects: &[Subject], arguments: &Arguments) -> Result<(), String> {
    let mut failures = Vec::new();
    for subject in subjects {
        say(&format!("== {subject:?}"));
        match section(subject, arguments.quick).await {
            Ok(section) => {
                say(&section.markdown());
                if !arguments.quick {
                    report::write(&arguments.results, PREAMBLE, &section)?;
                }
            }
            Err(e) => failures.push(format!("{subject:?}: {e}")),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

async fn section(subject: &Subject, quick: bool) -> Result<Section, String> {
    match subject {
        Subject::Gateway => {
            let (rounds, seconds) = if quick { (1, 2) } else { (15, 3) };
            gateway::run(&gateway::Plan { rounds, seconds }).await
        }
        Subject::Callbacks => {
            let (steady_changes, backlog, drained, rounds) =
                if quick { (400, 1000, 2000, 1) } else { (4000, 5000, 10_000, 3) };
            let plan =
                callbacks::Plan { rate: 200, steady_changes, backlog, drained, endpoints: 100, rounds };
            callbacks::run(&plan).await
        }
        Subject::Claims => {
            let (orders, rounds, stock, seconds) =
                if quick { (3000, 1, 0, 1) } else { (100_000, 2, 1_000_000, 8) };
            let batch = if quick { 100 } else { 1000 };
            claims::run(&claims::Plan { orders, batch, callers: 16, rounds, stock, seconds }).await
        }
        Subject::Orders => {
            let (orders, rounds) = if quick { (200, 1) } else { (4000, 3) };
            orders::run(&orders::Plan { orders, parallel: 32, rounds }).await
        }
        Subject::Idle => {
            let (rounds, rest) = if quick { (1, 1) } else { (3, 10) };
            idle::run(&idle::Plan { rounds, rest: Duration::from_secs(rest) }).await
        }
        Subject::Import => {
            let (rows, rounds) = if quick { (10_000, 1) } else { (100_000, 5) };
            workbook::import::run(&workbook::import::Plan { rows, rounds }).await
        }
        Subject::Export => {
            let (rows, rounds) = if quick { (20_000, 1) } else { (1_000_000, 2) };
            workbook::export::run(&workbook::export::Plan { rows, rounds }).await
        }
        Subject::Lists => {
            let (orders, seconds, deep) = if quick { (50_000, 1, 2_000) } else { (1_000_000, 5, 50_000) };
            lists::run(&lists::Plan { orders, seconds, deep }).await
        }
        other => Err(format!("{other:?} is no subject")),
    }
}

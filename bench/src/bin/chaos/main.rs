//! `chaos`: breaks the running system in every way the product promises to survive, and compares what clients were
//! told and what the database holds with what receivers got. Written to `docs/reliability.md`.
//!
//! A broken promise is a failure of the run. Only servers that the run started itself are stopped.

mod embedded;
mod faults;
mod load;
mod points;
mod replicas;
mod stand;
mod tables;
mod truth;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bench::{complain, report, say};
use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Fault runs: what is accepted is delivered, whatever dies; `make chaos` builds what it needs and runs all"
)]
struct Arguments {
    /// Where the findings are written.
    #[arg(long, default_value = "docs/reliability.md")]
    report: PathBuf,
    /// Changes a second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long orders change in each run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Short runs: shows that everything works, measures nothing; nothing is written.
    #[arg(long)]
    quick: bool,
    /// What to run; everything if nothing is named.
    runs: Vec<Run>,
}

/// A set of runs on one system, and its section in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Run {
    /// Processes, servers and receivers fail under load.
    Faults,
    /// Every named crash point.
    Points,
    /// Everything in one process, killed again and again.
    Embedded,
    /// Two of every process, restarted one by one.
    Replicas,
}

const ALL: [Run; 4] = [Run::Faults, Run::Points, Run::Embedded, Run::Replicas];

/// How much.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rate: u32,
    load: Duration,
    /// Load around one crash point.
    around_point: Duration,
    /// Kills of the embedded mode.
    kills: usize,
    endpoints: u32,
}

impl Plan {
    fn new(arguments: &Arguments) -> Self {
        let rate = arguments.rate.max(4);
        if arguments.quick {
            let (load, around) = (Duration::from_secs(8), Duration::from_secs(2));
            return Self { rate: rate.min(60), load, around_point: around, kills: 3, endpoints: 10 };
        }
        let load = Duration::from_secs(arguments.seconds.max(10));
        Self { rate, load, around_point: Duration::from_secs(4), kills: 20, endpoints: 50 }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = tokio::select! {
        done = run(&arguments) => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted; what was started has been ended".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            complain("chaos", &e);
            ExitCode::FAILURE
        }
    }
}

/// A set of runs that fails does not keep the others from being made.
async fn run(arguments: &Arguments) -> Result<(), String> {
    let plan = Plan::new(arguments);
    let wanted = if arguments.runs.is_empty() { ALL.to_vec() } else { arguments.runs.clone() };
    let mut broken = Vec::new();
    for run in wanted {
        say(&format!("== {run:?}"));
        let found = match run {
            Run::Faults => faults::run(&plan).await,
            Run::Points => points::run(&plan).await,
            Run::Embedded => embedded::run(&plan).await,
            Run::Replicas => replicas::run(&plan).await,
        };
        match found {
            Ok(found) => {
                let section = tables::section(run, &plan, &found);
                say(&section.markdown());
                if !arguments.quick {
                    report::write(&arguments.report, "# 可靠性 Reliability\n", &section)?;
                }
                broken.extend(found.broken());
            }
            Err(e) => broken.push(format!("{run:?}: {e}")),
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("broken promises:\n{}", broken.join("\n"))) }
}

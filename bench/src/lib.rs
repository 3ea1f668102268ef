//! What measuring (`bin/bench`) and breaking (`bin/chaos`) have in common: the system as a child of the run, the
//! servers under it, a client of its public API, a receiver that keeps books, and the report.
//!
//! Everything is bounded in number and time and stays on the loopback. What a run starts it ends, by process id;
//! what it puts into shared servers has a name of its own and is removed.

pub mod doors;
pub mod machine;
pub mod proc;
pub mod receiver;
pub mod report;
pub mod shop;
pub mod system;
pub mod tools;

/// A line for whoever watches the run.
#[allow(clippy::print_stdout)]
pub fn say(text: &str) {
    println!("{text}");
}

/// The last line of a run that failed.
#[allow(clippy::print_stderr)]
pub fn complain(program: &str, text: &str) {
    eprintln!("{program}: {text}");
}

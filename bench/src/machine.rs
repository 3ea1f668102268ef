//! What a figure depends on besides the code: the machine, the day, the versions, who else was at work.

use std::{fs, process::Command};

use platform::clock::{Clock, rfc3339};

use crate::proc;

/// The lines under a section's heading. `versions` are those of the programs of this subject.
pub fn circumstances(rounds: &str, versions: &[String], quiet: &Foreign) -> String {
    format!("{}\n\n{rounds}. {}.", place(versions), quiet.sentence())
}

/// Machine, day, commit and versions.
pub fn place(versions: &[String]) -> String {
    let date = rfc3339(Clock::system().now_ms());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, {}, {:.0} GiB, Linux {} · {} UTC · commit {} · {}",
        cpu_model(),
        memory_gib(),
        read("/proc/sys/kernel/osrelease"),
        date.get(..16).unwrap_or(&date).replace('T', " "),
        commit(),
        versions.join(", "),
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn cpu_model() -> String {
    let text = read("/proc/cpuinfo");
    let line =
        text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, v)| v.trim()));
    line.unwrap_or("unknown CPU").to_owned()
}

fn memory_gib() -> f64 {
    let text = read("/proc/meminfo");
    let kib = text
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0 / 1024.0
}

/// Short hash; `+` when the source of programs differs from it.
fn commit() -> String {
    let hash = said("git", &["rev-parse", "--short=10", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = said("git", &["status", "--porcelain", "--", "*.rs", "*.toml", "Cargo.lock"]).is_some();
    if changed { format!("{hash}+") } else { hash }
}

/// First line of what a program says; `None` when it fails, says nothing or is not there.
pub fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(|l| l.trim().to_owned())
        .filter(|l| !l.is_empty())
}

/// `haproxy 2.6.12-1+deb12u4`: a Debian package and its version.
pub fn package(name: &str) -> String {
    let version = said("dpkg-query", &["-W", "-f", "${Version}", name]);
    format!("{name} {}", version.as_deref().unwrap_or("(version unknown)"))
}

pub fn rustc() -> String {
    said("rustc", &["--version"])
        .and_then(|v| v.split(' ').nth(1).map(|v| format!("rustc {v}")))
        .unwrap_or_default()
}

/// How much of the machine others used while we measured. Sums up windows.
#[derive(Default)]
pub struct Foreign {
    wall: f64,
    foreign: f64,
    stolen: f64,
}

/// An open window of [`Foreign`].
pub struct Watch {
    began: std::time::Instant,
    busy: f64,
    stolen: f64,
    ours: f64,
}

impl Watch {
    /// `ours`: CPU seconds so far of the processes that are part of the measurement, this one apart.
    pub fn begin(ours: f64) -> Self {
        let (busy, stolen) = proc::machine_busy_seconds();
        Self { began: std::time::Instant::now(), busy, stolen, ours: ours + proc::own_cpu_seconds() }
    }
}

impl Foreign {
    pub fn end(&mut self, watch: &Watch, ours: f64) {
        let (busy, stolen) = proc::machine_busy_seconds();
        let own = ours + proc::own_cpu_seconds() - watch.ours;
        self.wall += watch.began.elapsed().as_secs_f64();
        self.foreign += (busy - watch.busy - own).max(0.0);
        self.stolen += stolen - watch.stolen;
    }

    /// Share of all cores.
    fn share(&self, seconds: f64) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        if self.wall > 0.0 { 100.0 * seconds / self.wall / cores } else { 0.0 }
    }

    fn sentence(&self) -> String {
        let (foreign, stolen) = (self.share(self.foreign), self.share(self.stolen));
        let verdict =
            if foreign + stolen > 5.0 { "the machine was not quiet" } else { "the machine was quiet" };
        format!(
            "While measuring, other processes used {foreign:.1} % of all cores and the host took {stolen:.1} %: {verdict}"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_that_is_missing_says_nothing() {
        assert_eq!(said("no-such-program-here", &[]), None);
        assert_eq!(said("sh", &["-c", "echo wrong; exit 1"]), None);
        assert_eq!(said("echo", &["two\nlines"]).unwrap(), "two");
    }

    #[test]
    fn others_are_named_when_they_were_busy() {
        let quiet = Foreign { wall: 10.0, foreign: 0.1, stolen: 0.0 };
        assert!(quiet.sentence().ends_with("the machine was quiet"));
        let busy = Foreign { wall: 10.0, foreign: 100.0, stolen: 0.0 };
        assert!(busy.sentence().ends_with("was not quiet"), "{}", busy.sentence());
    }
}

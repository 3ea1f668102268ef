//! Processes under measurement: started here, watched by `/proc`, ended by their own id and nothing else.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Ticks of `/proc/<pid>/stat` in a second; 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long an orderly end may take before the process is killed.
const GRACE: Duration = Duration::from_secs(15);

/// A child process; ends with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to `<folder>/<name>.log`, as access logs do in production.
    pub fn spawn(name: &str, command: &mut Command, folder: &Path) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| e.to_string())?;
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().map_err(|e| {
                format!("{name} cannot be started ({}): {e}", command.get_program().display())
            })?;
        Ok(Self { name: name.into(), child, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// CPU seconds of all its threads so far, user and system together.
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        self.cpu_split().map(|(user, system)| user + system)
    }

    /// CPU seconds of all its threads so far: in its own code, and in the kernel on its behalf.
    pub fn cpu_split(&self) -> Result<(f64, f64), String> {
        stat(self.pid()).map(|s| (s.user, s.system)).ok_or_else(|| self.gone())
    }

    /// A line of `/proc/<pid>/status` in KiB: `VmRSS` now, `VmHWM` at most.
    pub fn memory_kib(&self, field: &str) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).map_err(|_| self.gone())?;
        status
            .lines()
            .find_map(|l| {
                l.strip_prefix(field)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.trim().parse().ok()
            })
            .ok_or_else(|| self.gone())
    }

    /// An error with the end of its log, if it has ended by itself.
    pub fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.gone()),
        }
    }

    fn gone(&self) -> String {
        format!("{} ended by itself; the end of its log:\n{}", self.name, self.log_tail())
    }

    /// All it has printed, in former lives as well.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Empties its log: a line for each of a million requests would fill the disk, and writing it back would be
    /// measured with the next one.
    pub fn forget_log(&self) -> Result<(), String> {
        File::options().write(true).truncate(true).open(&self.log).map(|_| ()).map_err(|e| e.to_string())
    }

    /// Lets `VmHWM` begin again at what is resident now.
    pub fn forget_peak(&self) -> Result<(), String> {
        let path = format!("/proc/{}/clear_refs", self.pid());
        fs::write(&path, "5").map_err(|e| format!("{path}: {e}"))
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal (`TERM`) and waits until it has ended in order; how long that took.
    pub async fn terminate(&mut self, signal: &str, patience: Duration) -> Result<Duration, String> {
        let told = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        if !told.is_ok_and(|s| s.success()) {
            return Err(self.gone());
        }
        let (status, took) = self.until_ended(patience).await?;
        if status.success() {
            Ok(took)
        } else {
            Err(format!("{} was told to stop and ended with {status}:\n{}", self.name, self.log_tail()))
        }
    }

    /// Waits until it has ended, whatever the reason.
    pub async fn until_ended(&mut self, patience: Duration) -> Result<(ExitStatus, Duration), String> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
                return Ok((status, started.elapsed()));
            }
            if started.elapsed() > patience {
                return Err(format!("{} had not ended after {} s", self.name, patience.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM, and SIGKILL when it has not ended after 15 s. Says whether it ended in order.
    pub fn stop(&mut self) -> bool {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return false;
        }
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        let deadline = Instant::now() + GRACE;
        while told.as_ref().is_ok_and(|s| s.success()) && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            pause();
        }
        self.kill();
        false
    }
}

#[allow(clippy::disallowed_methods)] // drop cannot await, and nothing is measured any more
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// CPU seconds of a process.
struct Stat {
    user: f64,
    system: f64,
    /// Of its ended and awaited children.
    children: f64,
}

impl Stat {
    fn with_children(&self) -> f64 {
        self.user + self.system + self.children
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name may hold blanks and brackets; what follows its last bracket does not.
    let rest = text.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace().skip(11).map(|f| f.parse::<f64>().ok());
    let mut next = || fields.next().flatten().map(|ticks| ticks / TICKS_PER_SECOND);
    let (user, system, child_user, child_system) = (next()?, next()?, next()?, next()?);
    Some(Stat { user, system, children: child_user + child_system })
}

/// CPU seconds of this process and of its ended children.
pub fn own_cpu_seconds() -> f64 {
    stat(std::process::id()).map_or(0.0, |s| s.with_children())
}

/// CPU seconds of every process of that name (`postgres`, `beam.smp`, `redis-server`) with its ended children.
/// Servers are shared by whatever else uses them: only a quiet machine gives figures of one run.
pub fn cpu_seconds_of(name: &str) -> f64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
    entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
        .filter_map(stat)
        .map(|s| s.with_children())
        .sum()
}

/// The parent of a process.
pub fn parent_of(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// CPU seconds of a process and all its children, ended ones too: a PostgreSQL server by its postmaster.
pub fn cpu_seconds_of_family(pid: u32) -> f64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
    let children = entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|child| parent_of(*child) == Some(pid));
    children.chain([pid]).filter_map(stat).map(|s| s.with_children()).sum()
}

/// CPU seconds the whole machine has been busy, and those its host took away (steal).
pub fn machine_busy_seconds() -> (f64, f64) {
    fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_machine).unwrap_or_default()
}

fn parse_machine(text: &str) -> Option<(f64, f64)> {
    let ticks: Vec<f64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else { return None };
    Some(((user + nice + system + irq + softirq) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ticks_are_read_behind_a_name_with_brackets() {
        let line = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 30 20 20 0 8 0 1 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.user, stat.system, stat.children), (2.5, 0.5, 0.5));
    }

    #[test]
    fn the_machine_line_counts_neither_idle_nor_waiting() {
        assert_eq!(parse_machine("cpu  100 100 100 999 999 50 50 300 0 0\ncpu0 1"), Some((4.0, 3.0)));
        assert_eq!(parse_machine("cpu 1 2"), None);
    }

    #[test]
    fn a_child_is_measured_and_ends_with_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Process::spawn("sleeper", Command::new("sleep").arg("100"), folder.path()).unwrap();
        child.check().unwrap();
        assert!(child.cpu_seconds().unwrap() < 5.0);
        assert!(child.memory_kib("VmRSS").unwrap() > 0);
        let pid = child.pid();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_child_that_fails_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut child =
            Process::spawn("failing", command.args(["-c", "echo no such luck; exit 3"]), folder.path())
                .unwrap();
        let _ = child.child.wait();
        let told = child.check().unwrap_err();
        assert!(told.contains("failing") && told.contains("no such luck"), "{told}");
    }
}

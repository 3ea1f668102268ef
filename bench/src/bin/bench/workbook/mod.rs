//! Subjects `import` and `export`: workbooks through the gateway on PostgreSQL, against Python's own libraries doing
//! only their half of the work.

pub mod export;
pub mod import;
pub mod operator;
mod python;

use bench::{proc::Process, system::System};

/// Name of the process that reads and writes workbooks.
const SERVICE: &str = "report-service";

/// What report-service's memory grew by during `work`, at most, MiB.
struct Growth {
    before_kib: u64,
}

impl Growth {
    fn begin(system: &System) -> Result<Self, String> {
        let service = service(system)?;
        service.forget_peak()?;
        Ok(Self { before_kib: service.memory_kib("VmRSS")? })
    }

    fn end_mib(&self, system: &System) -> Result<f64, String> {
        let peak = service(system)?.memory_kib("VmHWM")?;
        Ok(peak.saturating_sub(self.before_kib) as f64 / 1024.0)
    }
}

fn service(system: &System) -> Result<&Process, String> {
    system.members[system.member(SERVICE)?].alive()
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "**not reached**" }
}

//! The bare SQL by pgbench, prepared, and its latencies as figures.

use std::{fs, path::Path, process::Stdio, time::Duration};

use bench::report::percentile;

use crate::wrk::Load;

/// Runs `sql` with `clients` clients for `seconds`; logs go to `folder`.
pub async fn run(url: &str, sql: &str, clients: u32, seconds: u32, folder: &Path) -> Result<Load, String> {
    let script = folder.join("page.sql");
    fs::write(&script, sql).map_err(|e| e.to_string())?;
    for log in logs(folder)? {
        fs::remove_file(log).map_err(|e| e.to_string())?;
    }
    let running = tokio::process::Command::new("pgbench")
        .args([
            "-n",
            "-M",
            "prepared",
            "-c",
            &clients.to_string(),
            "-j",
            "2",
            "-T",
            &seconds.to_string(),
            "-l",
        ])
        .arg("--log-prefix")
        .arg(folder.join("latency"))
        .arg("-f")
        .arg(&script)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let limit = Duration::from_secs(u64::from(seconds) + 30);
    let output = tokio::time::timeout(limit, running)
        .await
        .map_err(|_| format!("pgbench did not end after {} s", limit.as_secs()))?
        .map_err(|e| format!("pgbench cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut latencies = Vec::new();
    for log in logs(folder)? {
        let text = fs::read_to_string(log).map_err(|e| e.to_string())?;
        latencies.extend(text.lines().filter_map(milliseconds));
    }
    if latencies.is_empty() {
        return Err("pgbench logged no latency".into());
    }
    let n = latencies.len() as f64;
    Ok(Load {
        requests: n,
        per_second: n / f64::from(seconds),
        p50_ms: percentile(&latencies, 50.0),
        p99_ms: percentile(&latencies, 99.0),
        failures: 0,
    })
}

fn logs(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let paths = entries.filter_map(|e| e.ok().map(|e| e.path()));
    Ok(paths.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("latency."))).collect())
}

/// `client transaction microseconds …`
fn milliseconds(line: &str) -> Option<f64> {
    line.split(' ').nth(2)?.parse::<f64>().ok().map(|us| us / 1000.0)
}

//! The load generator `wrk`: one run, and what it printed, as figures.

use std::{process::Stdio, time::Duration};

/// Figures of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub requests: f64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Answers that were not 2xx, and connections that broke.
    pub failures: u64,
}

/// Calls `url` with `connections` connections from two threads for `seconds`.
pub async fn run(url: &str, bearer: &str, connections: u32, seconds: u32) -> Result<Load, String> {
    let running = tokio::process::Command::new("wrk")
        .args(["-t2", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "5s", "--latency"])
        .args(["-H", &format!("Authorization: Bearer {bearer}"), url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let limit = Duration::from_secs(u64::from(seconds) + 20);
    let output = tokio::time::timeout(limit, running)
        .await
        .map_err(|_| format!("wrk did not end after {} s", limit.as_secs()))?
        .map_err(|e| format!("wrk cannot be started: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text)
        .ok_or_else(|| format!("wrk printed no figures:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn parse(text: &str) -> Option<Load> {
    let after = |label: &str| {
        text.lines().find_map(|l| l.trim().strip_prefix(label)).map(|rest| rest.trim().to_owned())
    };
    let requests = text.lines().find_map(|l| l.trim().split_once(" requests in ")?.0.parse().ok())?;
    let refused: u64 = after("Non-2xx or 3xx responses:").and_then(|n| n.parse().ok()).unwrap_or(0);
    // connect 0, read 3, write 0, timeout 1
    let broken: u64 = after("Socket errors:").map_or(0, |errors| {
        errors.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum()
    });
    Some(Load {
        requests,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(&after("50%")?)?,
        p99_ms: milliseconds(&after("99%")?)?,
        failures: refused + broken,
    })
}

/// `850.00us`, `1.23ms`, `1.02s`
fn milliseconds(text: &str) -> Option<f64> {
    [("us", 0.001), ("ms", 1.0), ("s", 1000.0)]
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 8s test @ http://127.0.0.1:1/\n  2 threads and 64 connections\n\
        \x20 Latency Distribution\n     50%  850.00us\n     75%    2.14ms\n     90%    3.00ms\n     99%    1.02s\n\
        \x20 312900 requests in 8.00s, 371.00MB read\nRequests/sec:  39112.50\nTransfer/sec:     46.37MB\n";

    #[test]
    fn figures_are_read_in_their_units() {
        let load = parse(GOOD).expect("figures");
        let expected =
            Load { requests: 312_900.0, per_second: 39_112.5, p50_ms: 0.85, p99_ms: 1020.0, failures: 0 };
        assert_eq!(load, expected);
    }

    #[test]
    fn refusals_and_broken_connections_are_failures() {
        let text = format!(
            "{GOOD}  Socket errors: connect 1, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 10\n"
        );
        assert_eq!(parse(&text).expect("figures").failures, 16);
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused"), None);
    }
}

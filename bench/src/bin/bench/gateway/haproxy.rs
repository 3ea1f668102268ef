//! The baseline: HAProxy with `jwt_verify`, set up as its manual shows it.

use bench::proc::Process;
use std::{fs, net::SocketAddr, path::Path, process::Command};

/// How much HAProxy logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logging {
    /// Its default: nothing.
    Off,
    /// `option httplog`, one line a request, to a file by its standard output.
    Requests,
}

/// Starts HAProxy on `listen` in front of `upstream`.
pub fn start(
    name: &str,
    logging: Logging,
    listen: SocketAddr,
    upstream: SocketAddr,
    threads: usize,
    secret: &str,
    folder: &Path,
) -> Result<Process, String> {
    let path = folder.join(format!("{name}.cfg"));
    fs::write(&path, config(logging, listen, upstream, threads, secret)).map_err(|e| e.to_string())?;
    // -db: in the foreground, so that the process measured is the one that works.
    Process::spawn(name, Command::new("haproxy").arg("-db").arg("-f").arg(&path), folder)
}

fn config(
    logging: Logging,
    listen: SocketAddr,
    upstream: SocketAddr,
    threads: usize,
    secret: &str,
) -> String {
    let log = match logging {
        Logging::Off => "",
        Logging::Requests => "    log stdout format raw local0\n    option httplog\n",
    };
    format!(
        r#"global
    nbthread {threads}
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
{log}frontend public
    bind {listen}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str HS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{secret}") -m int 1 }}
    http-request deny deny_status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
    default_backend services
backend services
    server report {upstream}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_baseline_logs() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let quiet = config(Logging::Off, address, address, 2, "s");
        assert!(!quiet.contains("httplog") && quiet.contains("nbthread 2"), "{quiet}");
        assert!(config(Logging::Requests, address, address, 2, "s").contains("option httplog"));
    }
}

//! Programs the measurements need: other people's from Debian, ours from the folder this one lies in.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::proc::Process;

/// The program, installed by apt when it is missing and that can be done.
pub fn ensure(program: &str, package: &str) -> Result<(), String> {
    if find(program).is_some() {
        return Ok(());
    }
    let root = crate::machine::said("id", &["-u"]).as_deref() == Some("0");
    if !root || find("apt-get").is_none() {
        return Err(format!(
            "{program} is missing: install the package {package} (Debian: apt-get install {package})"
        ));
    }
    crate::say(&format!("installing {package}"));
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
    };
    let install = ["install", "-y", "-q", "--no-install-recommends", package];
    // The package lists may be stale or absent; the first failure is answered by renewing them.
    if !apt(&install).is_ok_and(|s| s.success()) {
        let _ = apt(&["update", "-q"]);
        let _ = apt(&install);
    }
    find(program)
        .map(|_| ())
        .ok_or_else(|| format!("{program} is missing and apt-get could not install {package}"))
}

/// Where a program of that name is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    path.split(':').chain(["/usr/sbin", "/sbin"]).map(|d| Path::new(d).join(program)).find(|p| p.is_file())
}

/// One of our own release binaries.
pub fn own(binary: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let path = here.with_file_name(binary);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not built; `make bench` and `make chaos` build everything first", path.display()))
    }
}

#[allow(clippy::disallowed_methods)] // a benchmark is told by its environment; services never read this
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// An address on the loopback that was free a moment ago. Its port lies below those that the system gives to
/// outgoing connections, so that a process that ends can be started again on it.
pub fn free_address() -> Result<SocketAddr, String> {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 5_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Runs side by side begin in different places.
    let own = (std::process::id() % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from(([127, 0, 0, 1], FIRST + own.wrapping_add(step) % PORTS));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(format!("no free port between {FIRST} and {}", FIRST + PORTS))
}

/// Waits until `GET path` at `address` answers 200; the time since `started`. Polls every millisecond by plain
/// TCP, so that the asking costs next to nothing.
pub async fn until_ready(
    process: &mut Process,
    address: SocketAddr,
    path: &str,
    started: Instant,
    patience: Duration,
) -> Result<Duration, String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    loop {
        let answer = first_line(address, request.as_bytes()).await.unwrap_or_default();
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(started.elapsed());
        }
        process.check()?;
        if started.elapsed() > patience {
            return Err(format!(
                "{} was not ready after {} s (last answer {answer:?}); the end of its log:\n{}",
                process.name(),
                patience.as_secs(),
                process.log_tail()
            ));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Sends `request` and reads what comes first; for asking whether somebody is there.
pub async fn first_line(address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut head = [0; 256];
    let n = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut head)).await??;
    Ok(String::from_utf8_lossy(&head[..n]).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_named() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-here").is_none());
        assert_eq!(ensure("sh", "dash"), Ok(()));
        let told = own("no-such-binary-of-ours").expect_err("not built");
        assert!(told.contains("no-such-binary-of-ours") && told.contains("make bench"), "{told}");
    }
}

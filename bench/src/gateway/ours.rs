//! Our gateway in proxy mode, as production runs it.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{gateway::token::Mint, proc::Process, tools};

/// Starts the gateway on `listen` with `upstream` in every service's place, and waits until it is ready.
pub async fn start(
    listen: SocketAddr,
    upstream: SocketAddr,
    threads: usize,
    mint: &Mint,
    folder: &Path,
) -> Result<Process, String> {
    let mut command = Command::new(tools::own("gateway")?);
    command
        .current_dir(folder)
        .env("BAODAN_ENVIRONMENT", "bench")
        .env("BAODAN_LISTEN", listen.to_string())
        .env("BAODAN_HTTP_WORKERS", threads.to_string())
        .env("BAODAN_KEYS__TOKEN", format!("{}:{}", mint.kid, mint.secret))
        .env("BAODAN_KEYS__ENVELOPE", format!("e1:{}", platform::seal::random_token(32)))
        .env("BAODAN_KEYS__INTERNAL", platform::seal::random_token(32))
        .env("BAODAN_TELEMETRY__FORMAT", "json");
    for service in contracts::routes::ServiceName::ALL {
        let name = format!("BAODAN_GATEWAY__UPSTREAMS__{}", service.as_str().to_uppercase());
        command.env(name, format!("http://{upstream}"));
    }
    let started = Instant::now();
    let mut process = Process::spawn("gateway", &mut command, folder)?;
    tools::until_ready(&mut process, listen, "/readyz", started, Duration::from_secs(30)).await?;
    Ok(process)
}

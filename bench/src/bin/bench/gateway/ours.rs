//! Our gateway in proxy mode, as production runs it.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bench::{
    proc::Process,
    system::{self, Broker, Settings},
    tools,
};
use contracts::routes::ServiceName;

use crate::gateway::token::Mint;

/// Part of the tokens' issuer.
pub const ENVIRONMENT: &str = "bench";

/// Starts the gateway on `listen` with `upstream` in every service's place, and waits until it is ready.
pub async fn start(
    listen: SocketAddr,
    upstream: SocketAddr,
    threads: usize,
    mint: &Mint,
    broker: &Broker,
    folder: &Path,
) -> Result<Process, String> {
    let mut settings: Settings = [
        ("BAODAN_ENVIRONMENT", ENVIRONMENT.to_owned()),
        ("BAODAN_LISTEN", listen.to_string()),
        ("BAODAN_HTTP_WORKERS", threads.to_string()),
        ("BAODAN_KEYS__TOKEN", format!("{}:{}", mint.kid, mint.secret)),
        ("BAODAN_KEYS__ENVELOPE", format!("e1:{}", platform::seal::random_token(32))),
        ("BAODAN_KEYS__INTERNAL", platform::seal::random_token(32)),
        ("BAODAN_TELEMETRY__FORMAT", "json".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    settings.extend(broker.settings());
    for service in ServiceName::ALL {
        settings.push(system::upstream(service, &[upstream]));
    }
    let mut command = system::bare("gateway", folder, &settings)?;
    let started = Instant::now();
    let mut process = Process::spawn("gateway", &mut command, folder)?;
    tools::until_ready(&mut process, listen, "/readyz", started, Duration::from_secs(30)).await?;
    Ok(process)
}

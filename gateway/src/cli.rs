//! The command line of the gateway as a process of its own.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use platform::{
    lifecycle,
    run::{self, end, healthcheck, refuse, say},
    service::{Shared, StartError},
    settings::Settings,
    telemetry,
};

use crate::{Gateway, HttpPolicySource, Serving, check, serve};

/// The gateway of Baodan; settings come from baodan.toml and BAODAN_… variables.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file; default: baodan.toml in the working folder, if there.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Name every setting that cannot work.
    CheckConfig,
    /// Ask the running gateway whether it is ready; for container health checks.
    Healthcheck,
}

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = match run::settings(arguments.config.as_deref(), |s| check(s, false)) {
        Ok(settings) => settings,
        Err(e) => return refuse(&e),
    };
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Healthcheck => healthcheck(&settings.listen).await,
        Command::CheckConfig => say("settings: nothing to complain about"),
        Command::Serve => {
            let telemetry = telemetry::init("gateway", &settings.telemetry);
            let drain = settings.drain(false);
            let code = match start(settings).await {
                Ok(Serving { server, workers, addresses, readiness }) => {
                    tracing::info!(?addresses, "serving");
                    end(lifecycle::run(server, workers, readiness, drain).await)
                }
                Err(e) => refuse(&e),
            };
            telemetry.shutdown();
            code
        }
    }
}

async fn start(settings: Settings) -> Result<Serving, StartError> {
    let shared = Shared::from_settings(settings).await?;
    let policy = Arc::new(HttpPolicySource::new(&shared)?);
    let gateway = Gateway::new(&shared, policy, Vec::new())?;
    let listen = &shared.settings.listen;
    serve(gateway, listen).map_err(|e| StartError::Settings(format!("cannot listen on {listen}: {e}")))
}

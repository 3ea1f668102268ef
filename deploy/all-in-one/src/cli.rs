//! The command line of `baodan`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use platform::{
    run::{end, healthcheck, refuse, rotate_keys, say},
    settings::{Settings, SettingsError},
    telemetry,
};
use secrecy::SecretString;

use crate::{
    openapi,
    seed::{self, SeedFlags},
    start, story,
};

/// 报单 Baodan：报告、订单、供应商与合作方，一个程序全部启动。
/// Reports, orders, suppliers and partners; everything in one process.
///
/// Settings: defaults ← baodan.toml ← BAODAN_… variables ← these flags (see .env.sample).
#[derive(Debug, Parser)]
#[command(name = "baodan", version)]
struct Arguments {
    #[command(flatten)]
    serve: ServeFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct ServeFlags {
    /// Settings file; default: baodan.toml in the working folder, if there.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Address and port to serve on.
    #[arg(long, global = true)]
    listen: Option<String>,
    /// Where databases, uploads and generated secrets are kept.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// Accept weak secrets; loopback only.
    #[arg(long)]
    dev: bool,
    /// Start with sample data and a built-in callback inbox, and tell one whole story on the terminal.
    #[arg(long)]
    demo: bool,
    /// With --demo: end when the story is told.
    #[arg(long, requires = "demo")]
    exit: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply pending migrations of all services and end.
    Migrate,
    /// Name every setting that cannot work.
    CheckConfig,
    /// Ask the running program whether it is ready.
    Healthcheck,
    /// Fill order-service's database with made-up orders of the past.
    Seed(SeedFlags),
    /// Seal every secret of all services again under the first envelope key, beside the running program.
    RotateKeys {
        /// Only count what is still under other keys.
        #[arg(long)]
        count: bool,
    },
    /// Print the OpenAPI 3.1 document of all services.
    Openapi,
    /// Tell the demo's story against a running system, by real calls through its gateway.
    Story {
        /// The gateway, for example http://127.0.0.1:8080
        #[arg(long)]
        url: String,
        /// Password of the account `admin`.
        #[arg(long, env = "BAODAN_ADMIN_PASSWORD", hide_env_values = true)]
        password: SecretString,
        /// Where the story receives callbacks; the system must allow it (BAODAN_CALLBACK_ALLOW).
        #[arg(long, default_value = "127.0.0.1:8089")]
        inbox: SocketAddr,
    },
}

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    platform::memory::give_back_large_blocks();
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Openapi) => openapi::print().await,
        Some(Command::Seed(flags)) => match settings(&arguments.serve) {
            Ok(settings) => seed::run(settings, &flags).await,
            Err(e) => refuse(&e),
        },
        Some(Command::Story { url, password, inbox }) => tell(&url, &password, inbox).await,
        Some(Command::Healthcheck) => match settings(&arguments.serve) {
            Ok(settings) => healthcheck(&settings.listen).await,
            Err(e) => refuse(&e),
        },
        Some(Command::CheckConfig) => match settings(&arguments.serve) {
            Ok(_) => say("settings: nothing to complain about"),
            Err(e) => refuse(&e),
        },
        Some(Command::Migrate) => match settings(&arguments.serve) {
            Ok(settings) => match start::migrate(settings).await {
                Ok(()) => say("migrations: up to date"),
                Err(e) => refuse(&e),
            },
            Err(e) => refuse(&e),
        },
        Some(Command::RotateKeys { count }) => match settings(&arguments.serve) {
            Ok(settings) => rotate_keys(&settings, &start::SEALED, count).await,
            Err(e) => refuse(&e),
        },
        None => serve(&arguments.serve).await,
    }
}

/// The settings of this start, checked.
fn settings(flags: &ServeFlags) -> Result<Settings, String> {
    let mut settings = Settings::load(flags.config.as_deref()).map_err(|e| e.to_string())?;
    if let Some(listen) = &flags.listen {
        settings.listen.clone_from(listen);
    }
    if let Some(data_dir) = &flags.data_dir {
        settings.data_dir.clone_from(data_dir);
    }
    settings.dev |= flags.dev;
    settings
        .fill_embedded_secrets()
        .map_err(|e| format!("the data folder {} cannot be used: {e}", settings.data_dir.display()))?;
    let mut problems = settings.problems(true);
    problems.extend(gateway::check(&settings, true));
    problems.extend(sync_service::app::check(&settings));
    if problems.is_empty() { Ok(settings) } else { Err(SettingsError::Invalid(problems).to_string()) }
}

async fn serve(flags: &ServeFlags) -> ExitCode {
    let mut settings = match settings(flags) {
        Ok(settings) => settings,
        Err(e) => return refuse(&e),
    };
    if flags.demo && settings.telemetry.log == telemetry::DEFAULT_LOG {
        // The terminal belongs to the story.
        settings.telemetry.log = "warn".into();
    }
    let inbox = if flags.demo {
        match story::Inbox::start(([127, 0, 0, 1], 0).into()).await {
            Ok(inbox) => {
                // The embedded default opens its own demo inbox, by exact host and port, and nothing else.
                settings.callback_allow = format!("{},{}", settings.callback_allow, inbox.address());
                Some(inbox)
            }
            Err(e) => return refuse(&format!("the demo's callback inbox cannot start: {e}")),
        }
    } else {
        None
    };
    let telemetry = telemetry::init("baodan", &settings.telemetry);
    let code = match start::start(settings).await {
        Ok(started) => match inbox {
            Some(inbox) => with_story(started, inbox, flags.exit).await,
            None => end(started.run().await),
        },
        Err(e) => refuse(&e),
    };
    telemetry.shutdown();
    code
}

/// Runs the system and tells the story to it from outside, as any client would.
async fn with_story(started: start::Started, inbox: story::Inbox, exit: bool) -> ExitCode {
    let url = started.url.clone();
    let password = started.admin_password.clone();
    let running = platform::lifecycle::spawn(started.run());
    let told = match &password {
        Some(password) => story::tell(&url, password, &inbox).await,
        None => Err("--demo signs in with the password of the first start; set BAODAN_ADMIN_PASSWORD or use a fresh --data-dir".into()),
    };
    match told {
        Ok(()) if exit => ExitCode::SUCCESS,
        Ok(()) => end(running.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))),
        Err(e) => {
            refuse(&format!("the story broke off: {e}"));
            ExitCode::FAILURE
        }
    }
}

async fn tell(url: &str, password: &SecretString, address: SocketAddr) -> ExitCode {
    let told = match story::Inbox::start(address).await {
        Ok(inbox) => story::tell(url, password, &inbox).await,
        Err(e) => Err(format!("the callback inbox cannot listen on {address}: {e}")),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            refuse(&format!("the story broke off: {e}"));
            ExitCode::FAILURE
        }
    }
}

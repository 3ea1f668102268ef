//! Running one service as a process of its own: command line, settings, HTTP server with health and metrics,
//! orderly end. The all-in-one and the gateway use the same pieces.

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Service as _, middleware::from_fn, web};
use clap::{Parser, Subcommand};
use contracts::routes::ServiceName;

use crate::{
    db::Db,
    http::{self, caller::CallerCheck},
    lifecycle::{self, Readiness},
    memory, rewrap,
    service::{Service, Shared, StartError},
    settings::{Settings, SettingsError},
    telemetry,
};

/// Exit code for settings that cannot work (`EX_CONFIG` of sysexits).
pub const EXIT_CONFIG: u8 = 78;

/// The command line of a lone service.
#[derive(Debug, Parser)]
#[command(version, about = "One service of Baodan; settings come from baodan.toml and BAODAN_… variables")]
struct Arguments {
    /// Settings file; default: baodan.toml in the working folder, if there.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Apply pending migrations and end.
    Migrate,
    /// Name every setting that cannot work.
    CheckConfig,
    /// Ask the running service whether it is ready; for container health checks.
    Healthcheck,
    /// Seal every secret again under the first envelope key, beside the running service.
    RotateKeys {
        /// Only count what is still under other keys.
        #[arg(long)]
        count: bool,
    },
}

/// What a program asks of its settings beyond what all do; one sentence for each problem.
pub type Check = fn(&Settings) -> Vec<String>;

/// The settings of a process that holds one service, or the gateway.
///
/// # Errors
/// Every problem at once.
pub fn settings(file: Option<&Path>, check: Check) -> Result<Settings, SettingsError> {
    let settings = Settings::load(file)?;
    let mut problems = settings.problems(false);
    problems.extend(check(&settings));
    if problems.is_empty() { Ok(settings) } else { Err(SettingsError::Invalid(problems)) }
}

/// `main` of a service: reads the command line and does what it says. `sealed`: its columns of sealed values.
pub async fn service<B, F>(name: ServiceName, check: Check, sealed: &[rewrap::Column], build: B) -> ExitCode
where
    B: FnOnce(Shared) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    memory::give_back_large_blocks();
    let arguments = Arguments::parse();
    let mut settings = match settings(arguments.config.as_deref(), check) {
        Ok(settings) => settings,
        Err(e) => return refuse(&e),
    };
    match arguments.command.unwrap_or(Command::Serve) {
        Command::CheckConfig => return say("settings: nothing to complain about"),
        Command::Healthcheck => return healthcheck(&settings.listen).await,
        Command::Migrate => settings.database.auto_migrate = true,
        Command::RotateKeys { count } => return rotate_keys(&settings, &[(name, sealed)], count).await,
        Command::Serve => return serve(name, settings, build).await,
    }
    // Building applies the migrations; nothing is started.
    match Shared::from_settings(settings).await {
        Ok(shared) => match build(shared).await {
            Ok(_) => say("migrations: up to date"),
            Err(e) => refuse(&e),
        },
        Err(e) => refuse(&e),
    }
}

/// The command `rotate-keys`: what each service has sealed moves under the first envelope key, or is only counted.
/// Fails while an old key is still needed.
pub async fn rotate_keys(
    settings: &Settings,
    services: &[(ServiceName, &[rewrap::Column])],
    only_count: bool,
) -> ExitCode {
    let mode = if only_count { rewrap::Mode::Count } else { rewrap::Mode::Rewrap };
    let mut done = true;
    for (name, columns) in services {
        match rewrap::command(settings, *name, columns, mode).await {
            Ok((lines, finished)) => {
                lines.iter().for_each(|line| {
                    say(line);
                });
                done &= finished;
            }
            Err(e) => return refuse(&e),
        }
    }
    if done {
        return say(
            "所有密钥都已用当前密钥封存，旧密钥可以移除 · every secret is under the present key; older ones can go",
        );
    }
    say("仍有密钥由旧密钥封存，请保留旧密钥 · some secrets are under older keys still; keep those keys");
    ExitCode::FAILURE
}

async fn serve<B, F>(name: ServiceName, settings: Settings, build: B) -> ExitCode
where
    B: FnOnce(Shared) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let service_name = format!("{}-service", name.as_str());
    let drain = settings.drain(false);
    let telemetry = telemetry::init(&service_name, &settings.telemetry);
    let started = async {
        let shared = Shared::from_settings(settings).await?;
        let service = build(shared.clone()).await?;
        let readiness = Readiness::default();
        let (server, addresses) = server(&shared, &service, &readiness)
            .map_err(|e| StartError::Settings(format!("cannot listen on {}: {e}", shared.settings.listen)))?;
        tracing::info!(service = service_name, ?addresses, "serving");
        Ok::<_, StartError>((server, service.workers, readiness))
    };
    let code = match started.await {
        Ok((server, workers, readiness)) => end(lifecycle::run(server, workers, readiness, drain).await),
        Err(e) => refuse(&e),
    };
    telemetry.shutdown();
    code
}

/// Turns the end of [`lifecycle::run`] into an exit code.
pub fn end(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %e, "ended");
            ExitCode::FAILURE
        }
    }
}

/// One sentence to whoever started the process, and the exit code for wrong settings.
#[allow(clippy::print_stderr)]
pub fn refuse(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("baodan: {problem}");
    ExitCode::from(EXIT_CONFIG)
}

/// A sentence for whoever asked, and the exit code for all is well.
#[allow(clippy::print_stdout)]
pub fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// Asks `/readyz` of the process that listens on `listen`.
pub async fn healthcheck(listen: &str) -> ExitCode {
    let port = listen.rsplit_once(':').map_or("8080", |(_, port)| port);
    let url = format!("http://127.0.0.1:{port}/readyz");
    let answer = async {
        let client =
            http::outgoing(&http::OutgoingSettings::default()).timeout(Duration::from_secs(3)).build()?;
        client.get(url).send().await?.error_for_status()
    };
    match answer.await {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            refuse(&e);
            ExitCode::FAILURE
        }
    }
}

/// Adds a service's routes to an app.
pub type Configure = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// The HTTP server of a service without a gateway in front in the same process: request context, health,
/// metrics, error rendering, and its routes. Answers the server and the addresses it is bound to.
pub fn server(
    shared: &Shared,
    service: &Service,
    readiness: &Readiness,
) -> std::io::Result<(actix_web::dev::Server, Vec<std::net::SocketAddr>)> {
    let settings = &shared.settings;
    let key =
        settings.keys.internal.as_ref().ok_or_else(|| std::io::Error::other("keys.internal is missing"))?;
    let check = CallerCheck { key: http::caller::InternalKey::new(key), clock: shared.clock.clone() };
    let stopping = readiness.clone();
    let (name, db) = (service.name.as_str(), service.db.clone());
    let probes = web::Data::new(Probes { readiness: readiness.clone(), name, db });
    let configure = Arc::clone(&service.configure);
    let server = HttpServer::new(move || {
        let (configure, stopping) = (Arc::clone(&configure), stopping.clone());
        App::new()
            .app_data(web::Data::new(check.clone()))
            .app_data(probes.clone())
            .configure(http::extractor_config)
            .wrap(from_fn(http::request_context))
            .wrap_fn(move |req, next| {
                let (stopping, answer) = (stopping.clone(), next.call(req));
                async move {
                    let mut answer = answer.await?;
                    stopping.hang_up_when_stopping(answer.response_mut().head_mut());
                    Ok(answer)
                }
            })
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
            .configure(move |cfg| configure(cfg))
            .default_service(web::to(http::not_found_handler))
    })
    .workers(workers(settings))
    .disable_signals()
    .shutdown_timeout(20)
    .bind(&settings.listen)?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// HTTP worker threads that the settings ask for.
pub fn workers(settings: &Settings) -> usize {
    match settings.http_workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    }
}

struct Probes {
    readiness: Readiness,
    name: &'static str,
    db: Db,
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok")
}

async fn readyz(probes: web::Data<Probes>) -> HttpResponse {
    if !probes.readiness.get() {
        return HttpResponse::ServiceUnavailable().body("starting or stopping");
    }
    match tokio::time::timeout(Duration::from_secs(2), probes.db.ping()).await {
        Ok(Ok(())) => HttpResponse::Ok().body("ready"),
        _ => HttpResponse::ServiceUnavailable().body("the database does not answer"),
    }
}

async fn metrics(probes: web::Data<Probes>) -> HttpResponse {
    probes.db.note_pool(probes.name);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(telemetry::metrics_handle().render())
}

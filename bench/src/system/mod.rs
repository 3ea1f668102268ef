//! The system under measurement: release binaries with data, names and secrets of their own for one run.

mod servers;

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use contracts::routes::ServiceName;
use tempfile::TempDir;

use crate::{
    proc::{self, Process},
    tools,
};
pub use servers::{Broker, Servers};

const PATIENCE: Duration = Duration::from_secs(60);

/// The two shapes of the one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Embedded,
    Distributed,
}

impl Mode {
    pub fn label(self) -> &'static str {
        match self {
            Self::Embedded => "embedded: one process, SQLite",
            Self::Distributed => "distributed: five processes, PostgreSQL, RabbitMQ, Redis",
        }
    }
}

/// A running system; its processes end with this value. Call [`System::end`] to remove its traces from servers.
pub struct System {
    pub url: String,
    pub password: String,
    processes: Vec<Process>,
    servers: Option<Servers>,
    folder: TempDir,
}

/// CPU seconds so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    pub ours: f64,
    /// PostgreSQL; 0 in the embedded mode, where the database is in our process.
    pub database: f64,
    /// RabbitMQ and Redis.
    pub broker: f64,
}

impl Cpu {
    pub fn all(self) -> f64 {
        self.ours + self.database + self.broker
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            ours: self.ours - earlier.ours,
            database: self.database - earlier.database,
            broker: self.broker - earlier.broker,
        }
    }
}

impl System {
    /// Starts the system; its callbacks may go to `receiver`.
    pub async fn start(mode: Mode, receiver: SocketAddr) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let password = platform::seal::random_token(18);
        let common = vec![
            ("BAODAN_ENVIRONMENT".to_owned(), "bench".to_owned()),
            ("BAODAN_ADMIN_PASSWORD".to_owned(), password.clone()),
            ("BAODAN_CALLBACK_ALLOW".to_owned(), receiver.to_string()),
            ("BAODAN_TELEMETRY__FORMAT".to_owned(), "json".to_owned()),
        ];
        match mode {
            Mode::Embedded => Self::embedded(folder, password, common).await,
            Mode::Distributed => Self::distributed(folder, password, common).await,
        }
    }

    async fn embedded(folder: TempDir, password: String, settings: Settings) -> Result<Self, String> {
        let address = tools::free_address()?;
        let process = embedded(address, &folder.path().join("data"), folder.path(), &settings).await?.0;
        Ok(Self {
            url: format!("http://{address}"),
            password,
            processes: vec![process],
            servers: None,
            folder,
        })
    }

    async fn distributed(folder: TempDir, password: String, mut settings: Settings) -> Result<Self, String> {
        let servers = Servers::prepare().await?;
        settings.extend(servers.settings());
        for (name, id) in [("TOKEN", "k1:"), ("ENVELOPE", "e1:"), ("INTERNAL", "")] {
            settings
                .push((format!("BAODAN_KEYS__{name}"), format!("{id}{}", platform::seal::random_token(32))));
        }
        let mut system =
            Self { url: String::new(), password, processes: Vec::new(), servers: Some(servers), folder };
        match system.start_services(settings).await {
            Ok(()) => Ok(system),
            Err(e) => {
                system.end().await?;
                Err(e)
            }
        }
    }

    async fn start_services(&mut self, mut settings: Settings) -> Result<(), String> {
        let started = Instant::now();
        let mut addresses = Vec::new();
        for service in ServiceName::ALL {
            let address = tools::free_address()?;
            self.spawn(&format!("{}-service", service.as_str()), address, &settings)?;
            addresses.push(address);
            settings.push(upstream(service, address));
        }
        let address = tools::free_address()?;
        self.spawn("gateway", address, &settings)?;
        addresses.push(address);
        for (process, address) in self.processes.iter_mut().zip(addresses) {
            tools::until_ready(process, address, "/readyz", started, PATIENCE).await?;
        }
        self.url = format!("http://{address}");
        Ok(())
    }

    fn spawn(&mut self, binary: &str, listen: SocketAddr, settings: &Settings) -> Result<(), String> {
        let mut command = bare(binary, self.folder.path(), settings)?;
        command.env("BAODAN_LISTEN", listen.to_string());
        self.processes.push(Process::spawn(binary, &mut command, self.folder.path())?);
        Ok(())
    }

    pub fn cpu(&self) -> Result<Cpu, String> {
        let ours = self.processes.iter().map(Process::cpu_seconds).sum::<Result<f64, String>>()?;
        Ok(match self.servers {
            None => Cpu { ours, ..Cpu::default() },
            Some(_) => Cpu {
                ours,
                database: proc::cpu_seconds_of("postgres"),
                broker: proc::cpu_seconds_of("beam.smp") + proc::cpu_seconds_of("redis-server"),
            },
        })
    }

    /// Versions of the servers in use.
    pub fn versions(&self) -> Vec<String> {
        self.servers.as_ref().map(|s| s.versions.clone()).unwrap_or_default()
    }

    /// The ends of all logs, for a run that failed.
    pub fn log_tails(&self) -> String {
        self.processes.iter().map(|p| format!("--- {}\n{}\n", p.name(), p.log_tail())).collect()
    }

    /// Ends the processes and removes what the run put into servers.
    pub async fn end(mut self) -> Result<(), String> {
        self.processes.clear();
        match self.servers.take() {
            Some(servers) => servers.clean_up().await,
            None => Ok(()),
        }
    }
}

/// Environment variables.
pub type Settings = Vec<(String, String)>;

/// The setting that tells the gateway where a service is.
pub fn upstream(service: ServiceName, address: SocketAddr) -> (String, String) {
    (format!("BAODAN_GATEWAY__UPSTREAMS__{}", service.as_str().to_uppercase()), format!("http://{address}"))
}

/// One of our binaries with these settings and no others, whatever the shell has set.
pub fn bare(binary: &str, folder: &Path, settings: &Settings) -> Result<Command, String> {
    let mut command = Command::new(tools::own(binary)?);
    command.current_dir(folder).env_clear().envs(settings.iter().map(|(k, v)| (k, v)));
    Ok(command)
}

/// Starts `baodan` on a data folder; the process and the time from exec to the first 200 of `/readyz`.
pub async fn embedded(
    listen: SocketAddr,
    data: &Path,
    logs: &Path,
    settings: &Settings,
) -> Result<(Process, Duration), String> {
    let mut command = bare("baodan", logs, settings)?;
    command.arg("--listen").arg(listen.to_string()).arg("--data-dir").arg(data);
    let started = Instant::now();
    let mut process = Process::spawn("baodan", &mut command, logs)?;
    let took = tools::until_ready(&mut process, listen, "/readyz", started, PATIENCE).await?;
    Ok((process, took))
}

//! The system under test: our binaries with data, names and secrets of their own for one run.

mod held_relay;
mod member;
mod own;
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
pub use held_relay::HeldRelay;
pub use member::Member;
pub use own::{Kind, OwnServers};
pub use servers::{Broker, Servers, Urls};

/// CPU seconds a second of a system that only waits; pollers and housekeeping take some.
const AT_REST: f64 = 0.25;
const LOOK: Duration = Duration::from_millis(250);
const RESTING_LOOKS: u32 = 4;
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

/// What to start.
pub struct Blueprint {
    pub mode: Mode,
    /// Of each of the five processes, in the distributed mode.
    pub replicas: usize,
    /// Where callbacks may go, as `BAODAN_CALLBACK_ALLOW` tells it.
    pub callback_allow: String,
    /// The servers of the distributed mode.
    pub urls: Urls,
    pub more: Settings,
}

/// A running system; its processes end with this value. Call [`System::end`] to remove its traces from servers.
pub struct System {
    /// Of the first gateway.
    pub url: String,
    pub password: String,
    pub members: Vec<Member>,
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
        Self::build(Blueprint {
            mode,
            replicas: 1,
            callback_allow: receiver.to_string(),
            urls: Urls::of_environment(),
            more: Vec::new(),
        })
        .await
    }

    /// Starts what the blueprint says, and waits until all of it is ready.
    pub async fn build(blueprint: Blueprint) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let password = platform::seal::random_token(18);
        let mut settings = vec![
            ("BAODAN_ENVIRONMENT".to_owned(), "bench".to_owned()),
            ("BAODAN_ADMIN_PASSWORD".to_owned(), password.clone()),
            ("BAODAN_CALLBACK_ALLOW".to_owned(), blueprint.callback_allow),
            ("BAODAN_TELEMETRY__FORMAT".to_owned(), "json".to_owned()),
        ];
        settings.extend(blueprint.more);
        let (members, servers) = match blueprint.mode {
            Mode::Embedded => (vec![Member::embedded(folder.path(), settings)?], None),
            Mode::Distributed => {
                let servers = Servers::prepare(blueprint.urls).await?;
                settings.extend(servers.settings());
                settings.extend(secrets());
                (members(blueprint.replicas, &settings)?, Some(servers))
            }
        };
        let url = members.iter().find(|m| m.is_door()).map(Member::url).ok_or("a system without a door")?;
        let mut system = Self { url, password, members, servers, folder };
        match system.start_members().await {
            Ok(()) => Ok(system),
            Err(e) => {
                system.end().await?;
                Err(e)
            }
        }
    }

    async fn start_members(&mut self) -> Result<(), String> {
        for member in &mut self.members {
            member.launch(self.folder.path(), &[])?;
        }
        for member in &mut self.members {
            member.until_ready(PATIENCE).await?;
        }
        Ok(())
    }

    /// Where the doors are: all gateways.
    pub fn doors(&self) -> Vec<SocketAddr> {
        self.members.iter().filter(|m| m.is_door()).map(|m| m.listen).collect()
    }

    /// Starts a member again that has ended, with more in its environment, and waits until it is ready.
    pub async fn restart(&mut self, index: usize, more: &Settings) -> Result<Duration, String> {
        self.launch(index, more)?;
        self.members[index].until_ready(PATIENCE).await
    }

    /// The same without waiting.
    pub fn launch(&mut self, index: usize, more: &Settings) -> Result<(), String> {
        self.members[index].launch(self.folder.path(), more)
    }

    /// Where the first member of that name stands in `members`.
    pub fn member(&self, name: &str) -> Result<usize, String> {
        self.members.iter().position(|m| m.name == name).ok_or_else(|| format!("there is no {name}"))
    }

    /// Where the databases of the embedded mode are.
    pub fn data(&self) -> std::path::PathBuf {
        member::data(self.folder.path())
    }

    /// The database of the distributed mode.
    pub fn database_url(&self) -> Option<String> {
        self.servers.as_ref().map(Servers::database_url)
    }

    pub fn cpu(&self) -> Result<Cpu, String> {
        let ours = self.members.iter().map(Member::cpu_seconds).sum::<Result<f64, String>>()?;
        Ok(match &self.servers {
            None => Cpu { ours, ..Cpu::default() },
            Some(servers) => Cpu {
                ours,
                database: servers.database_cpu_seconds(),
                broker: proc::cpu_seconds_of("beam.smp") + proc::cpu_seconds_of("redis-server"),
            },
        })
    }

    /// SQL statements that all processes have run so far, BEGIN and COMMIT apart.
    pub async fn statements(&self) -> Result<f64, String> {
        let client = platform::http::outgoing(&platform::http::OutgoingSettings::default())
            .build()
            .map_err(|e| e.to_string())?;
        let mut sum = 0.0;
        for member in &self.members {
            let page = client.get(format!("{}/metrics", member.url())).send();
            let answer = page.await.map_err(|e| e.to_string())?;
            let page = answer.text().await.map_err(|e| e.to_string())?;
            let line = page.lines().find_map(|line| line.strip_prefix("db_statements_total "));
            sum += line.and_then(|n| n.parse::<f64>().ok()).unwrap_or_default();
        }
        Ok(sum)
    }

    /// Keeps order-service's relay from publishing until the answer is let go of.
    pub async fn hold_relay(&self) -> Result<HeldRelay, String> {
        let embedded = || format!("sqlite://{}", self.data().join("order.db").display());
        HeldRelay::take(&self.database_url().unwrap_or_else(embedded)).await
    }

    /// Waits until nobody works any more: the events of what was measured are with their readers.
    pub async fn until_at_rest(&self) -> Result<(), String> {
        let started = Instant::now();
        let (mut quiet, mut before) = (0, self.cpu()?.ours);
        while quiet < RESTING_LOOKS {
            if started.elapsed() > PATIENCE {
                return Err("the system does not come to rest".into());
            }
            tokio::time::sleep(LOOK).await;
            let now = self.cpu()?.ours;
            quiet = if now - before < LOOK.as_secs_f64() * AT_REST { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }

    /// Versions of the servers in use.
    pub fn versions(&self) -> Vec<String> {
        self.servers.as_ref().map(|s| s.versions.clone()).unwrap_or_default()
    }

    /// The ends of all logs, for a run that failed.
    pub fn log_tails(&self) -> String {
        self.members.iter().map(|m| format!("--- {}\n{}\n", m.label(), m.log_tail())).collect()
    }

    /// Ends the processes and removes what the run put into servers.
    pub async fn end(mut self) -> Result<(), String> {
        self.members.clear();
        match self.servers.take() {
            Some(servers) => servers.clean_up().await,
            None => Ok(()),
        }
    }
}

/// Keys that the processes of one system share.
fn secrets() -> Settings {
    [("TOKEN", "k1:"), ("ENVELOPE", "e1:"), ("INTERNAL", "")]
        .map(|(name, id)| {
            (format!("BAODAN_KEYS__{name}"), format!("{id}{}", platform::seal::random_token(32)))
        })
        .into()
}

/// The four services and the gateway, so many of each.
fn members(replicas: usize, settings: &Settings) -> Result<Vec<Member>, String> {
    let mut members = Vec::new();
    let mut upstreams = Vec::new();
    for service in ServiceName::ALL {
        let name = format!("{}-service", service.as_str());
        let mut addresses = Vec::new();
        for replica in 1..=replicas {
            let address = tools::free_address()?;
            members.push(Member::new(&name, replica, address, settings.clone()));
            addresses.push(address);
        }
        upstreams.push(upstream(service, &addresses));
    }
    for replica in 1..=replicas {
        let settings = settings.iter().chain(&upstreams).cloned().collect();
        members.push(Member::new(member::GATEWAY, replica, tools::free_address()?, settings));
    }
    Ok(members)
}

/// Environment variables.
pub type Settings = Vec<(String, String)>;

/// The setting that tells the gateway where the replicas of a service are.
pub fn upstream(service: ServiceName, addresses: &[SocketAddr]) -> (String, String) {
    let urls: Vec<String> = addresses.iter().map(|a| format!("http://{a}")).collect();
    (format!("BAODAN_GATEWAY__UPSTREAMS__{}", service.as_str().to_uppercase()), urls.join(","))
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
    let mut command = bare(member::EMBEDDED, logs, settings)?;
    command.arg("--listen").arg(listen.to_string()).arg("--data-dir").arg(data);
    let started = Instant::now();
    let mut process = Process::spawn(member::EMBEDDED, &mut command, logs)?;
    let took = tools::until_ready(&mut process, listen, "/readyz", started, PATIENCE).await?;
    Ok((process, took))
}

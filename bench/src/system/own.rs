//! PostgreSQL, RabbitMQ and Redis that a run starts for itself and may therefore stop: ports, data, node names of
//! its own, everything gone at its end. As durable as in production: nothing is switched off for speed.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, Database};
use tempfile::TempDir;

use super::Urls;
use crate::{machine::said, proc::Process, tools};

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(60);

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Rabbit,
    Redis,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Rabbit => "RabbitMQ",
            Self::Redis => "Redis",
        }
    }
}

/// The running servers; they end with this value.
pub struct OwnServers {
    ports: [u16; 4],
    processes: [Option<Process>; 3],
    /// User and group PostgreSQL runs as: it refuses to be root.
    postgres_user: Option<(u32, u32)>,
    postgres_bin: PathBuf,
    folder: TempDir,
}

impl OwnServers {
    /// Starts all three and waits until they answer.
    pub async fn start() -> Result<Self, String> {
        let port = || tools::free_address().map(|a| a.port());
        let mut servers = Self {
            ports: [port()?, port()?, port()?, port()?],
            processes: [None, None, None],
            postgres_user: None,
            postgres_bin: postgres_bin()?,
            folder: tempfile::Builder::new().prefix("chaos-").tempdir_in("/var/tmp").map_err(text)?,
        };
        servers.prepare_postgres()?;
        for kind in [Kind::Rabbit, Kind::Postgres, Kind::Redis] {
            servers.launch(kind)?;
        }
        for kind in [Kind::Postgres, Kind::Redis, Kind::Rabbit] {
            servers.until_answering(kind).await?;
        }
        Ok(servers)
    }

    pub fn urls(&self) -> Urls {
        let [postgres, amqp, redis, _] = self.ports;
        Urls {
            postgres: format!("postgres://postgres@127.0.0.1:{postgres}"),
            amqp: format!("amqp://guest:guest@127.0.0.1:{amqp}/%2f"),
            redis: format!("redis://127.0.0.1:{redis}/0"),
        }
    }

    /// Stops a server in its own orderly way: PostgreSQL "fast", which ends its clients' connections.
    pub async fn stop(&mut self, kind: Kind) -> Result<(), String> {
        let signal = if kind == Kind::Postgres { "INT" } else { "TERM" };
        if kind == Kind::Rabbit {
            self.signal_rabbit("TERM");
        }
        let process = self.processes[kind as usize].as_mut().ok_or("it is not running")?;
        match kind {
            Kind::Rabbit => process.until_ended(STOP).await.map(|_| ())?,
            _ => process.terminate(signal, STOP).await.map(|_| ())?,
        }
        self.processes[kind as usize] = None;
        Ok(())
    }

    /// Starts a stopped server on its data.
    pub async fn start_again(&mut self, kind: Kind) -> Result<(), String> {
        self.launch(kind)?;
        self.until_answering(kind).await
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn prepare_postgres(&mut self) -> Result<(), String> {
        let home = self.home("postgres");
        fs::create_dir(&home).map_err(text)?;
        if said("id", &["-u"]).as_deref() == Some("0") {
            let id = |flag| said("id", &[flag, "postgres"]).and_then(|n| n.parse().ok());
            let user = id("-u").zip(id("-g")).ok_or("there is no user postgres to run PostgreSQL as")?;
            chown(&home, Some(user.0), Some(user.1)).map_err(text)?;
            // Others may pass through to their own folder, no more.
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
            fs::set_permissions(self.folder.path(), open).map_err(text)?;
            self.postgres_user = Some(user);
        }
        let mut command = self.as_postgres("initdb");
        command.arg("-D").arg(home.join("data"));
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        let made = command.output().map_err(text)?;
        if made.status.success() {
            Ok(())
        } else {
            Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)))
        }
    }

    fn as_postgres(&self, program: &str) -> Command {
        let mut command = Command::new(self.postgres_bin.join(program));
        command.current_dir("/");
        if let Some((user, group)) = self.postgres_user {
            command.uid(user).gid(group);
        }
        command
    }

    fn launch(&mut self, kind: Kind) -> Result<(), String> {
        let mut command = match kind {
            Kind::Postgres => self.postgres(),
            Kind::Redis => self.redis(),
            Kind::Rabbit => self.rabbit()?,
        };
        let process = Process::spawn(kind.label(), &mut command, self.folder.path())?;
        self.processes[kind as usize] = Some(process);
        Ok(())
    }

    fn postgres(&self) -> Command {
        let home = self.home("postgres");
        let mut command = self.as_postgres("postgres");
        command.arg("-D").arg(home.join("data")).args(["-p", &self.ports[0].to_string()]);
        let socket = format!("unix_socket_directories={}", home.display());
        for setting in ["listen_addresses=127.0.0.1", &socket, "max_connections=400"] {
            command.args(["-c", setting]);
        }
        command
    }

    fn redis(&self) -> Command {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.ports[2].to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "yes", "--dir"]).arg(self.folder.path());
        command
    }

    fn rabbit(&self) -> Result<Command, String> {
        let home = self.home("rabbitmq");
        fs::create_dir_all(&home).map_err(text)?;
        let [_, amqp, _, distribution] = self.ports;
        let settings = format!("listeners.tcp.local = 127.0.0.1:{amqp}\n");
        fs::write(home.join("rabbitmq.conf"), settings).map_err(text)?;
        fs::write(home.join("enabled_plugins"), "[].\n").map_err(text)?;
        // Debian's wrapper in /usr/sbin insists on the system's user and data; the program behind it does not.
        let direct = Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let mut command = Command::new(if direct.is_file() { direct } else { Path::new("rabbitmq-server") });
        command.current_dir(&home).env("HOME", &home);
        command.env("RABBITMQ_NODENAME", format!("baodan-chaos-{amqp}@localhost"));
        command.env("RABBITMQ_DIST_PORT", distribution.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        for (name, file) in [
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_PID_FILE", "pid"),
        ] {
            command.env(name, home.join(file));
        }
        Ok(command)
    }

    /// What was started is a script that waits for the broker; the broker's own process has written its id down.
    fn signal_rabbit(&self, signal: &str) {
        if let Some(pid) =
            fs::read_to_string(self.home("rabbitmq").join("pid")).ok().as_deref().map(str::trim)
        {
            let _ = Command::new("kill").args([&format!("-{signal}"), pid]).status();
        }
    }

    async fn until_answering(&mut self, kind: Kind) -> Result<(), String> {
        let (urls, started) = (self.urls(), Instant::now());
        loop {
            let answer = answers(kind, &urls).await;
            if answer.is_ok() {
                return Ok(());
            }
            self.processes[kind as usize].as_mut().ok_or("it is not running")?.check()?;
            if started.elapsed() > START {
                return answer.map_err(|e| format!("{} did not come up: {e}", kind.label()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        // Its data goes with it, so there is nothing to end in order.
        self.signal_rabbit("KILL");
        self.processes.iter_mut().flatten().for_each(Process::kill);
    }
}

async fn answers(kind: Kind, urls: &Urls) -> Result<(), String> {
    match kind {
        Kind::Postgres => {
            let mut options = ConnectOptions::new(format!("{}/postgres", urls.postgres));
            options.max_connections(1).connect_timeout(Duration::from_secs(2)).sqlx_logging(false);
            Database::connect(options).await.map_err(text)?.close().await.map_err(text)
        }
        Kind::Redis => {
            let client = redis::Client::open(urls.redis.as_str()).map_err(text)?;
            let mut connection = client.get_multiplexed_async_connection().await.map_err(text)?;
            redis::cmd("PING").query_async::<()>(&mut connection).await.map_err(text)
        }
        Kind::Rabbit => {
            let connecting = lapin::Connection::connect(&urls.amqp, lapin::ConnectionProperties::default());
            let connecting = tokio::time::timeout(Duration::from_secs(5), connecting);
            let connection = connecting.await.map_err(text)?.map_err(text)?;
            connection.close(200, "done".into()).await.map_err(text)
        }
    }
}

/// The newest PostgreSQL of this machine.
fn postgres_bin() -> Result<PathBuf, String> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|e| {
            let path = e.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .filter(|(_, bin)| bin.join("postgres").is_file())
        .collect();
    versions.sort();
    let in_path = || tools::find("postgres").and_then(|p| p.parent().map(Path::to_owned));
    let found = versions.pop().map(|(_, bin)| bin).or_else(in_path);
    found.ok_or_else(|| "PostgreSQL is missing (Debian: apt-get install postgresql)".into())
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

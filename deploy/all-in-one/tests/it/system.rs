//! A whole system for one test, in the mode of this run.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use testing::{Mode, wait_until};

use crate::process::{Process, binary, free_port, run};

/// Password of `admin` in these systems.
pub const PASSWORD: &str = "correct-horse-battery";

/// A running system behind its gateway.
pub struct System {
    pub url: String,
    pub inbox_port: u16,
    processes: Vec<Process>,
    environment: BTreeMap<String, String>,
    /// Of every process, the gateway's included.
    urls: Vec<String>,
    folder: tempfile::TempDir,
    gateway_port: u16,
}

impl System {
    /// Starts a fresh system and waits until it is ready.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with more variables.
    pub async fn with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (gateway_port, inbox_port) = (free_port(), free_port());
        let mut environment = environment(&folder, inbox_port);
        environment.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let mut system = Self {
            url: format!("http://127.0.0.1:{gateway_port}"),
            inbox_port,
            processes: Vec::new(),
            environment,
            urls: Vec::new(),
            folder,
            gateway_port,
        };
        system.boot().await;
        system
    }

    /// Starts every process (again) on the same data.
    pub async fn boot(&mut self) {
        self.processes.clear();
        self.urls.clear();
        match Mode::current() {
            Mode::Embedded => self.spawn("baodan", self.gateway_port, &[]),
            Mode::Distributed => {
                let ports: Vec<(&str, u16)> =
                    ["auth", "report", "order", "sync"].into_iter().map(|s| (s, free_port())).collect();
                for (service, port) in &ports {
                    self.spawn(&format!("{service}-service"), *port, &[]);
                }
                let upstreams: Vec<(String, String)> = ports
                    .iter()
                    .map(|(s, port)| {
                        (
                            format!("BAODAN_GATEWAY__UPSTREAMS__{}", s.to_uppercase()),
                            format!("http://127.0.0.1:{port}"),
                        )
                    })
                    .collect();
                for (_, port) in &ports {
                    ready(&format!("http://127.0.0.1:{port}"), &mut self.processes).await;
                }
                self.spawn("gateway", self.gateway_port, &upstreams);
            }
        }
        let url = self.url.clone();
        ready(&url, &mut self.processes).await;
    }

    fn spawn(&mut self, name: &str, port: u16, more: &[(String, String)]) {
        self.urls.push(format!("http://127.0.0.1:{port}"));
        let mut command = Command::new(binary(name));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.environment)
            .envs(more.iter().map(|(k, v)| (k.as_str(), v.as_str())))
            .env("BAODAN_LISTEN", format!("127.0.0.1:{port}"));
        let log = self.folder.path().join(format!("{name}.log"));
        self.processes.push(Process::start(name, &mut command, log));
    }

    /// kill -9 of every process.
    pub fn kill(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
    }

    /// SIGTERM to every process, gateway first; each must end in order.
    pub async fn stop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let status = process.terminate().await;
            assert!(status.success(), "{} ended with {status}:\n{}", process.name(), process.log());
        }
    }

    /// Tells the demo's story to the system; it must come to its end.
    pub fn tell_the_story(&self) {
        let told = run(self
            .command("baodan")
            .args(["story", "--url", &self.url, "--inbox", &format!("127.0.0.1:{}", self.inbox_port)])
            .env("BAODAN_ADMIN_PASSWORD", PASSWORD));
        let text = String::from_utf8_lossy(&told.stdout);
        let complaint = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{text}\n{complaint}\n{}", self.logs());
        assert!(text.contains("故事讲完了"), "{text}");
    }

    /// The names of all metrics that the processes tell.
    pub async fn metrics(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for url in &self.urls {
            let text = testing::Client::plain(url).get("/metrics").send().await.expect_status(200).text();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            names.extend(lines.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)));
        }
        names
    }

    /// What the processes printed.
    pub fn logs(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// The environment of the processes, for a `baodan` started beside them.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.processes.clear();
        if Mode::current() == Mode::Distributed {
            testing::forget_system(&self.environment["BAODAN_BUS__PREFIX"]);
        }
    }
}

/// Waits until `url` is ready; fails at once when a process has ended.
async fn ready(url: &str, processes: &mut [Process]) {
    let client = testing::Client::plain(url);
    wait_until(&format!("{url} to be ready"), async || {
        for process in processes.iter_mut() {
            if let Some(status) = process.ended() {
                panic!("{} ended with {status}:\n{}", process.name(), process.log());
            }
        }
        tokio::time::timeout(Duration::from_secs(2), client.get("/readyz").try_send())
            .await
            .is_ok_and(|answer| answer.is_ok_and(|a| a.status() == 200))
    })
    .await;
}

fn environment(folder: &tempfile::TempDir, inbox_port: u16) -> BTreeMap<String, String> {
    let secret = || platform::seal::random_token(32);
    let mut environment = BTreeMap::from([
        ("BAODAN_DATA_DIR".into(), folder.path().join("data").display().to_string()),
        ("BAODAN_ADMIN_PASSWORD".into(), PASSWORD.into()),
        ("BAODAN_CALLBACK_ALLOW".into(), format!("127.0.0.1:{inbox_port}")),
        ("BAODAN_KEYS__TOKEN".into(), format!("k1:{}", secret())),
        ("BAODAN_KEYS__ENVELOPE".into(), format!("e1:{}", secret())),
        ("BAODAN_KEYS__INTERNAL".into(), secret()),
        ("BAODAN_HTTP_WORKERS".into(), "1".into()),
        // A receiver that was down is tried again within the patience of a test.
        ("BAODAN_CALLBACK__RETRY_SCHEDULE_SECONDS".into(), ["1"; 60].join(",")),
    ]);
    if Mode::current() == Mode::Distributed {
        environment.extend(testing::system_environment());
    }
    environment
}

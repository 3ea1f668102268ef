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

/// The binary that clients talk to in the distributed mode.
pub const GATEWAY: &str = "gateway";

/// A running system behind its gateway.
pub struct System {
    /// Of the first gateway.
    pub url: String,
    pub inbox_port: u16,
    processes: Vec<Process>,
    /// What the processes were started as.
    slots: Vec<Slot>,
    environment: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

/// The place of one process.
#[derive(Clone)]
struct Slot {
    binary: &'static str,
    port: u16,
    more: Vec<(String, String)>,
}

impl Slot {
    fn new(binary: &'static str) -> Self {
        Self { binary, port: free_port(), more: Vec::new() }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The processes of a system, services first, so many of each.
fn slots(replicas: usize) -> Vec<Slot> {
    if Mode::current() == Mode::Embedded {
        return vec![Slot::new("baodan")];
    }
    let (mut slots, mut upstreams) = (Vec::new(), Vec::new());
    for binary in ["auth-service", "report-service", "order-service", "sync-service"] {
        let replicas: Vec<Slot> = (0..replicas).map(|_| Slot::new(binary)).collect();
        let service = binary.trim_end_matches("-service").to_uppercase();
        let urls: Vec<String> = replicas.iter().map(Slot::url).collect();
        upstreams.push((format!("BAODAN_GATEWAY__UPSTREAMS__{service}"), urls.join(",")));
        slots.extend(replicas);
    }
    slots.extend((0..replicas).map(|_| Slot::new(GATEWAY)));
    // The gateway asks all of them, order-service one of them.
    for slot in slots.iter_mut().filter(|s| [GATEWAY, "order-service"].contains(&s.binary)) {
        slot.more.clone_from(&upstreams);
    }
    slots
}

impl System {
    /// Starts a fresh system and waits until it is ready.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with more variables.
    pub async fn with(more: &[(&str, &str)]) -> Self {
        Self::replicated(1, more).await
    }

    /// The same with so many replicas of each process.
    pub async fn replicated(replicas: usize, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox_port = free_port();
        let mut environment = environment(&folder, inbox_port);
        environment.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let slots = slots(replicas);
        let door = slots.iter().find(|s| [GATEWAY, "baodan"].contains(&s.binary)).unwrap();
        let mut system =
            Self { url: door.url(), inbox_port, processes: Vec::new(), slots, environment, folder };
        system.boot().await;
        system
    }

    /// Starts every process (again) on the same data.
    pub async fn boot(&mut self) {
        self.processes.clear();
        // A gateway is ready when it has the policy, so it comes last.
        for index in 0..self.slots.len() {
            let process = self.spawn(index);
            self.processes.push(process);
        }
        for index in 0..self.slots.len() {
            self.until_ready(index).await;
        }
    }

    /// SIGTERM to one process, which must end in order; then it is started again.
    pub async fn restart(&mut self, index: usize) {
        self.end(index).await;
        self.begin(index).await;
    }

    /// SIGTERM to one process, which must end in order.
    pub async fn end(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let status = process.terminate().await;
        assert!(status.success(), "{} ended with {status}:\n{}", process.name(), process.log());
    }

    /// Starts the process again that was ended.
    pub async fn begin(&mut self, index: usize) {
        self.processes[index] = self.spawn(index);
        self.until_ready(index).await;
    }

    /// The places of the processes of that name.
    pub fn places(&self, binary: &str) -> Vec<usize> {
        (0..self.slots.len()).filter(|i| self.slots[*i].binary == binary).collect()
    }

    /// Where the process at that place answers.
    pub fn url_of(&self, index: usize) -> String {
        self.slots[index].url()
    }

    fn spawn(&self, index: usize) -> Process {
        let slot = &self.slots[index];
        let mut command = self.command(slot.binary);
        command.envs(slot.more.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        command.env("BAODAN_LISTEN", format!("127.0.0.1:{}", slot.port));
        let log = self.folder.path().join(format!("{}-{index}.log", slot.binary));
        Process::start(slot.binary, &mut command, log)
    }

    async fn until_ready(&mut self, index: usize) {
        ready(&self.slots[index].url(), &mut self.processes).await;
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
        for url in self.slots.iter().map(Slot::url) {
            let text = testing::Client::plain(&url).get("/metrics").send().await.expect_status(200).text();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            names.extend(lines.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)));
        }
        names
    }

    /// Ends the system in order and starts it with another setting.
    pub async fn restart_with(&mut self, variable: &str, value: &str) {
        self.stop().await;
        self.environment.insert(variable.into(), value.into());
        self.boot().await;
    }

    /// `id:secret` of the envelope key of the first start.
    pub fn envelope_key(&self) -> String {
        self.environment["BAODAN_KEYS__ENVELOPE"].clone()
    }

    /// A setting of the processes.
    pub fn setting(&self, name: &str) -> &str {
        &self.environment[name]
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
        // Nobody takes over, so there is nothing to wait for.
        ("BAODAN_DRAIN_SECONDS".into(), "0".into()),
        // A receiver that was down is tried again within the patience of a test.
        ("BAODAN_CALLBACK__RETRY_SCHEDULE_SECONDS".into(), ["1"; 60].join(",")),
    ]);
    if Mode::current() == Mode::Distributed {
        environment.extend(testing::system_environment());
    }
    environment
}

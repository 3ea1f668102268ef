//! One process of the system, which may end and be started again in its place.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Settings, bare};
use crate::{proc::Process, tools};

pub(super) const GATEWAY: &str = "gateway";
pub(super) const EMBEDDED: &str = "baodan";

/// See the module.
pub struct Member {
    /// Of its binary.
    pub name: String,
    /// From 1.
    pub replica: usize,
    pub listen: SocketAddr,
    settings: Settings,
    process: Option<Process>,
}

impl Member {
    pub(super) fn new(name: &str, replica: usize, listen: SocketAddr, mut settings: Settings) -> Self {
        settings.push(("BAODAN_LISTEN".into(), listen.to_string()));
        Self { name: name.into(), replica, listen, settings, process: None }
    }

    pub(super) fn embedded(folder: &Path, mut settings: Settings) -> Result<Self, String> {
        settings.push(("BAODAN_DATA_DIR".into(), data(folder).display().to_string()));
        Ok(Self::new(EMBEDDED, 1, tools::free_address()?, settings))
    }

    /// For people: `order-service 2`.
    pub fn label(&self) -> String {
        if self.replica == 1 { self.name.clone() } else { format!("{} {}", self.name, self.replica) }
    }

    /// # Errors
    /// It was not started, or has ended.
    pub fn alive(&self) -> Result<&Process, String> {
        self.process.as_ref().ok_or_else(|| format!("{} does not run", self.label()))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Do clients come in here?
    pub fn is_door(&self) -> bool {
        self.name == GATEWAY || self.name == EMBEDDED
    }

    pub(super) fn launch(&mut self, folder: &Path, more: &[(String, String)]) -> Result<(), String> {
        let mut command = bare(&self.name, folder, &self.settings)?;
        command.envs(more.iter().map(|(k, v)| (k, v)));
        self.process = Some(Process::spawn(&self.label().replace(' ', "-"), &mut command, folder)?);
        Ok(())
    }

    /// Waits until it says that it is ready; an error when it ends instead.
    pub async fn until_ready(&mut self, patience: Duration) -> Result<Duration, String> {
        let listen = self.listen;
        let process = self.process()?;
        tools::until_ready(process, listen, "/readyz", Instant::now(), patience).await
    }

    fn process(&mut self) -> Result<&mut Process, String> {
        let label = self.label();
        self.process.as_mut().ok_or_else(|| format!("{label} is not running"))
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<(), String> {
        self.process()?.kill();
        self.process = None;
        Ok(())
    }

    /// SIGTERM, and waits for its orderly end.
    pub async fn stop(&mut self, patience: Duration) -> Result<Duration, String> {
        let took = self.process()?.terminate("TERM", patience).await?;
        self.process = None;
        Ok(took)
    }

    /// Waits until it ends by itself.
    pub async fn until_ended(&mut self, patience: Duration) -> Result<Duration, String> {
        let took = self.process()?.until_ended(patience).await?.1;
        self.process = None;
        Ok(took)
    }

    pub fn cpu_seconds(&self) -> Result<f64, String> {
        self.process.as_ref().map_or(Ok(0.0), Process::cpu_seconds)
    }

    /// All it has printed, in former lives as well.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// A line of `/proc/<pid>/status` in KiB.
    pub fn memory_kib(&self, field: &str) -> Result<u64, String> {
        let process = self.process.as_ref().ok_or_else(|| format!("{} is not running", self.label()))?;
        process.memory_kib(field)
    }

    pub fn log_tail(&self) -> String {
        self.process.as_ref().map_or_else(|| "(not running)".into(), Process::log_tail)
    }
}

pub(super) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

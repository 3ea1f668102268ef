//! A process's life: workers that are restarted when they panic, and an orderly end: not ready, but serving until
//! whoever chooses among replicas has noticed → HTTP drained → consumers and jobs → relays → telemetry. A second signal, or 30 s, ends it the hard way; nothing is lost by
//! that, because everything undone stands in a database.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest orderly end, from when no more requests are taken.
pub const GRACE: Duration = Duration::from_secs(30);
/// How long a process of its own goes on serving after it was told to stop, while it says that it is not ready:
/// longer than a gateway keeps a quiet connection (4 s) and than it takes to notice (0.5 s).
pub const DRAIN: Duration = Duration::from_secs(5);

/// What one turn of a job or relay found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something was done and more may wait.
    Done,
    /// Nothing to do now.
    Idle,
}

/// When a worker is stopped: intake first, so that relays can empty what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Intake,
    Relay,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A long-running task of a service.
pub struct Worker {
    name: String,
    stage: Stage,
    run: Box<dyn Fn(CancellationToken) -> Running + Send + Sync>,
}

impl Worker {
    /// `run` is called again if it panics; it returns when its token is cancelled.
    pub fn new<F, Fut>(name: impl Into<String>, stage: Stage, run: F) -> Self
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self { name: name.into(), stage, run: Box::new(move |stop| Box::pin(run(stop))) }
    }

    /// A worker that calls `turn` until it is idle, then waits for `wake` or `every`, whichever is first.
    /// A failing turn is logged and tried again after a growing pause of at most 30 s.
    pub fn job<F, Fut, E>(
        name: &'static str,
        every: Duration,
        wake: Option<Arc<tokio::sync::Notify>>,
        turn: F,
    ) -> Self
    where
        F: Fn() -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Turn, E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        Self::new(name, Stage::Intake, move |stop| {
            let (turn, wake) = (turn.clone(), wake.clone());
            async move {
                let mut pause = every;
                while !stop.is_cancelled() {
                    match turn().await {
                        Ok(Turn::Done) => continue,
                        Ok(Turn::Idle) => pause = every,
                        Err(e) => {
                            pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(30));
                            tracing::warn!(job = name, error = %e, retry_in_ms = pause.as_millis() as u64, "job failed; it tries again");
                        }
                    }
                    let woken = async {
                        match &wake {
                            Some(wake) => wake.notified().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = woken => {}
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Spawns a task that belongs to a worker or request of this process. The one place that does.
#[allow(clippy::disallowed_methods)]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// The running workers of a process.
pub struct Workers {
    intake: CancellationToken,
    relay: CancellationToken,
    tasks: Vec<(Stage, JoinHandle<()>)>,
}

impl Workers {
    pub fn start(workers: Vec<Worker>) -> Self {
        let (intake, relay) = (CancellationToken::new(), CancellationToken::new());
        let tasks = workers
            .into_iter()
            .map(|worker| {
                let stop = if worker.stage == Stage::Intake { intake.clone() } else { relay.clone() };
                (worker.stage, spawn(supervise(worker, stop)))
            })
            .collect();
        Self { intake, relay, tasks }
    }

    /// Stops intake, then relays, and waits for each.
    pub async fn stop(self) {
        let (intake, relays): (Vec<_>, Vec<_>) =
            self.tasks.into_iter().partition(|(s, _)| *s == Stage::Intake);
        for (token, tasks) in [(self.intake, intake), (self.relay, relays)] {
            token.cancel();
            for (_, task) in tasks {
                if let Err(e) = task.await {
                    tracing::error!(error = %e, "a worker ended badly");
                }
            }
        }
    }
}

async fn supervise(worker: Worker, stop: CancellationToken) {
    loop {
        let task = spawn((worker.run)(stop.clone()));
        match task.await {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::error!(worker = worker.name, "worker returned early; starting it again"),
            Err(e) => tracing::error!(worker = worker.name, error = %e, "worker panicked; starting it again"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Whether the process should get requests; `/readyz` asks it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The answer of a process that is stopping is the last on its connection: a request on a connection that is
    /// closed at the same moment could not safely be repeated.
    pub fn hang_up_when_stopping(&self, head: &mut actix_web::dev::ResponseHead) {
        if !self.get() {
            head.set_connection_type(actix_web::http::ConnectionType::Close);
        }
    }
}

/// Runs a process until it is told to stop: serves, works, and ends in order. `drain`: see [`DRAIN`].
pub async fn run(
    server: actix_web::dev::Server,
    workers: Vec<Worker>,
    readiness: Readiness,
    drain: Duration,
) -> std::io::Result<()> {
    let handle = server.handle();
    let workers = Workers::start(workers);
    let mut serving = spawn(server);
    readiness.set(true);
    let early = tokio::select! {
        ended = &mut serving => Some(ended),
        () = signal() => None,
    };
    readiness.set(false);
    if let Some(ended) = early {
        workers.stop().await;
        return ended.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    }
    tracing::info!(
        drain_seconds = drain.as_secs(),
        "stopping: not ready any more, finishing what is under way"
    );
    let orderly = async {
        tokio::time::sleep(drain).await;
        handle.stop(true).await;
        workers.stop().await;
    };
    tokio::select! {
        () = orderly => Ok(()),
        () = signal() => Err(std::io::Error::other("second signal: stopped the hard way; undone work goes on at the next start")),
        () = tokio::time::sleep(drain + GRACE) => Err(std::io::Error::other("not done after 30 s: stopped the hard way; undone work goes on at the next start")),
    }
}

/// Waits for SIGTERM or SIGINT.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

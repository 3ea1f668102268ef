//! The engine: decides what is sent when, keeps requests under way, and has results written in batches.
//!
//! One task per process (the pump) owns the lanes and never waits for the database or a receiver: requests run
//! as tasks of their own, claiming and recording as futures beside it, so that slots are refilled while a batch
//! is being written. Results gather while the former batch is on its way: the busier, the larger the batches.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use platform::{
    Platform,
    lifecycle::{Stage, Turn, Worker},
    service::StartError,
    telemetry,
};
use reqwest::dns::Resolve;
use sea_orm::DbErr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty};

use super::{
    guard::Policy,
    house_key::HouseKey,
    intake::Handoff,
    lane::Job,
    pump::Pump,
    rules::{Reply, Schedule},
    sender::{Bodies, Exchange, Outgoing},
    store,
    target::Target,
};

/// Jobs of all subscriptions a process holds at most.
const MOST_HELD: usize = 20_000;
/// Shortest lease; a request must fit into half of it.
const SHORTEST_LEASE_MS: i64 = 30_000;
/// The name of the worker.
pub const WORKER: &str = "callback-sender";

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub platform: Platform,
    pub policy: Arc<Policy>,
    pub outgoing: Outgoing,
    pub schedule: Schedule,
    pub lease_ms: i64,
    pub timeout_ms: i64,
    /// Something came in: jobs, rows, a changed subscription, or a release.
    pub wake: Notify,
    /// Subscriptions have changed since they were last read.
    pub stale: AtomicBool,
    /// Whether the pump runs and takes jobs without a claim.
    pub accepting: AtomicBool,
    /// Jobs held by all lanes.
    pub held: AtomicUsize,
    rooms: Mutex<HashMap<i64, usize>>,
    handoffs: Mutex<Vec<Handoff>>,
    pump: tokio::sync::Mutex<Pump>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// `names` asks the name servers.
    ///
    /// # Errors
    /// Settings that cannot work (the allow list, the schedule); the house's signing key cannot be had.
    pub async fn new(platform: &Platform, names: Arc<dyn Resolve>) -> Result<Self, StartError> {
        let settings = &platform.settings;
        let callback = &settings.callback;
        let policy = Policy::new(&settings.callback_allow, &callback.ports).map_err(StartError::Settings)?;
        let policy = Arc::new(policy);
        let house = HouseKey::load(platform)
            .await
            .map_err(|source| StartError::Database { service: platform.service.as_str(), source })?;
        let outgoing =
            Outgoing::new(callback, Arc::clone(&policy), names, Arc::new(house), platform.clock.clone())
                .map_err(|e| StartError::Settings(format!("callbacks cannot be sent: {e}")))?;
        let timeout_ms = i64::try_from(callback.timeout_seconds).unwrap_or(600).clamp(1, 600) * 1000;
        let inner = Inner {
            platform: platform.clone(),
            policy,
            outgoing,
            schedule: Schedule::new(settings.retry_schedule().map_err(StartError::Settings)?),
            lease_ms: (timeout_ms * 2).max(SHORTEST_LEASE_MS),
            timeout_ms,
            wake: Notify::new(),
            stale: AtomicBool::new(true),
            accepting: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            rooms: Mutex::default(),
            handoffs: Mutex::default(),
            pump: tokio::sync::Mutex::new(Pump::new(
                callback.concurrency.max(1),
                callback.concurrency_per_subscription.max(1),
            )),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// At the start: on SQLite nobody but a former process of ours can hold leases, so they end at once.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn recover(&self) -> Result<(), DbErr> {
        let platform = &self.0.platform;
        if platform.db.is_postgres() {
            return Ok(());
        }
        let tx = platform.db.write_tx().await?;
        store::release_all(&tx, platform.clock.now_ms()).await?;
        tx.commit().await
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub fn lease_ms(&self) -> i64 {
        self.0.lease_ms
    }

    /// Whether a delivery that is being made may be leased to this process without a claim.
    pub fn reserve(&self, subscription_id: i64) -> bool {
        if !self.0.accepting.load(Ordering::Relaxed) || self.0.held.load(Ordering::Relaxed) >= MOST_HELD {
            return false;
        }
        match lock(&self.0.rooms).get_mut(&subscription_id) {
            Some(room) if *room > 0 => {
                *room -= 1;
                true
            }
            _ => false,
        }
    }

    /// Takes over what a committed batch made.
    pub fn accept(&self, handoff: Handoff) {
        if handoff.jobs.is_empty() && handoff.hungry.is_empty() {
            return;
        }
        lock(&self.0.handoffs).push(handoff);
        self.0.wake.notify_one();
    }

    /// Subscriptions were made, changed or deleted.
    pub fn subscriptions_changed(&self) {
        self.0.stale.store(true, Ordering::SeqCst);
        self.0.wake.notify_one();
    }

    /// One request at once, past queue and lanes: for tests and probes.
    pub async fn send_now(&self, target: &Target, bodies: &Bodies) -> Exchange {
        self.0.outgoing.send(target, bodies).await
    }

    /// Sends what is due now and what that makes due, until nothing is left; for tests, and for a process that
    /// does not run the worker.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_once(&self) -> Result<Turn, DbErr> {
        let mut pump = self.0.pump.lock().await;
        pump.run(&self.0, None).await
    }

    /// The worker of this engine.
    pub fn worker(&self) -> Worker {
        let engine = self.clone();
        Worker::new(WORKER, Stage::Intake, move |stop| {
            let engine = engine.clone();
            async move { engine.work(stop).await }
        })
    }

    async fn work(&self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            let mut pump = self.0.pump.lock().await;
            self.0.accepting.store(true, Ordering::SeqCst);
            let ended = pump.run(&self.0, Some(&stop)).await;
            self.0.accepting.store(false, Ordering::SeqCst);
            drop(pump);
            match ended {
                Ok(_) => pause = Duration::from_millis(100),
                Err(e) => {
                    tracing::warn!(error = %e, retry_in_ms = pause.as_millis() as u64, "callbacks wait for the database");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

impl Inner {
    pub fn take_handoffs(&self) -> Vec<Handoff> {
        std::mem::take(&mut *lock(&self.handoffs))
    }

    /// Tells the consumer how many jobs of a subscription it may hand over.
    pub fn set_room(&self, subscription_id: i64, room: usize) {
        lock(&self.rooms).insert(subscription_id, room);
    }

    /// Sends one job and reports it, whatever happens.
    pub async fn deliver(self: Arc<Self>, target: Arc<Target>, job: Job) -> Sent {
        use futures_util::FutureExt;
        let span = attempt_span(&job);
        let sending = std::panic::AssertUnwindSafe(self.outgoing.send(&target, &job.bodies))
            .catch_unwind()
            .instrument(span.clone())
            .await;
        match sending {
            Ok(exchange) => {
                span.record("http.response.status_code", exchange.http_status);
                if exchange.reply != Reply::Acknowledged {
                    span.record("otel.status_code", "ERROR");
                }
                Sent { job, exchange: Some(exchange) }
            }
            Err(_) => {
                tracing::error!(
                    delivery_id = job.delivery_id,
                    "sending a callback panicked; it goes again when its lease is over"
                );
                Sent { job, exchange: None }
            }
        }
    }
}

/// The attempt as the last step of the trace that led to it. Its address is no part of it: that may hold a secret.
fn attempt_span(job: &Job) -> Span {
    let traceparent = &job.bodies.traceparent;
    if traceparent.is_empty() && !telemetry::exporting() {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "callback",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = "POST",
        http.response.status_code = Empty,
        delivery_id = job.delivery_id,
        subscription_id = job.subscription_id,
        event_id = job.bodies.event_id,
        try_no = job.tries + 1,
    );
    telemetry::parent_from(traceparent, &span);
    span
}

/// A job that came back.
pub(super) struct Sent {
    pub job: Job,
    /// `None`: the attempt broke down inside; nothing is recorded.
    pub exchange: Option<Exchange>,
}

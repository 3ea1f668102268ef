use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contracts::event::{Event, Payload};
use platform::{
    Service,
    bus::{BusError, Written},
    clock::{self, Clock},
    db::DatabaseSettings,
    ids::Ids,
    seal,
    service::Shared,
    settings::{KeySettings, Settings},
};
use tempfile::TempDir;

use crate::{
    App, Mode, PATIENCE,
    app::Node,
    drain, mode,
    postgres::{self, Postgres},
    tap::{self, Tap},
    wait_until,
};

/// Password of the account `admin` on every bed.
pub const ADMIN_PASSWORD: &str = "Bao-dan-bed-2026";
/// Connections of one service: a bed of five services leaves room for others under PostgreSQL's 100.
pub(crate) const MAX_CONNECTIONS: u32 = 5;
/// Id node of the events the bed makes itself; services start counting at 0.
const ID_NODE: i64 = 31;

/// Databases, bus, quotas and a data folder of one test. See the crate's example.
///
/// A bed must be [finished](Self::finish): dropping it otherwise fails the test.
pub struct TestBed {
    /// What services are built from.
    pub shared: Shared,
    mode: Mode,
    id: String,
    ids: Ids,
    tap: Tap,
    postgres: Option<Postgres>,
    nodes: Mutex<Vec<Arc<Node>>>,
    expected_parked: Mutex<usize>,
    patience: Duration,
    finished: bool,
    /// Removed with the bed.
    folder: TempDir,
}

impl TestBed {
    /// A bed on the system's clock, in the mode of this run.
    pub async fn new() -> Self {
        Self::with(Clock::system(), |_| {}).await
    }

    /// A bed on a clock of the test's own. Redis counts quotas on its server's clock all the same.
    pub async fn with_clock(clock: Clock) -> Self {
        Self::with(clock, |_| {}).await
    }

    /// A bed with settings of the test's own, for example what callbacks may reach:
    /// `|s| s.callback_allow = "127.0.0.0/8".into()`.
    ///
    /// # Panics
    /// When the servers of the distributed mode are not there, or the settings cannot work.
    pub async fn with(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let mode = Mode::current();
        log_to_test_output();
        let folder = tempfile::Builder::new().prefix("baodan-test-").tempdir().expect("a temporary folder");
        let id = new_id();
        let mut settings = settings(mode, &id, folder.path());
        change(&mut settings);
        settings.validate(true).expect("settings that can work");
        let postgres = match mode {
            Mode::Embedded => None,
            Mode::Distributed => {
                Some(Postgres::register(&id).await.expect("PostgreSQL: run `make test-env`"))
            }
        };
        let shared = Shared::with_clock(settings, clock.clone()).await.expect("Redis: run `make test-env`");
        let tap = Tap::on(&shared.bus, &mode::amqp_url()).await;
        Self {
            ids: Ids::new(clock, ID_NODE),
            shared,
            mode,
            id,
            tap,
            postgres,
            nodes: Mutex::default(),
            expected_parked: Mutex::default(),
            patience: PATIENCE,
            finished: false,
            folder,
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The bed's own folder; the services' `data_dir`.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts a service: its server on a free port of 127.0.0.1, and all its workers.
    pub async fn start(&self, service: Service) -> App {
        self.start_without(&[], service).await
    }

    /// Starts a service without the named workers, for a test that calls their `run_once` itself.
    ///
    /// # Panics
    /// When the service has no such worker.
    pub async fn start_without(&self, workers: &[&str], service: Service) -> App {
        let app = App::start(&self.shared, service, workers);
        lock(&self.nodes).push(app.node());
        app
    }

    /// An event as another service would have made it, about `test`.
    pub fn event<P: Payload>(&self, payload: &P) -> Event {
        self.event_about("test", payload)
    }

    /// An event about `subject`.
    pub fn event_about<P: Payload>(&self, subject: &str, payload: &P) -> Event {
        let id = format!("evt_t{}", self.ids.next());
        let time = clock::rfc3339(self.shared.clock.now_ms());
        Event::new(id, "/test", subject.into(), time, None, payload).expect("a payload that can be written")
    }

    /// Feeds events to the consumers over the real bus, as a relay would.
    ///
    /// # Panics
    /// When the bus does not take them.
    pub async fn publish(&self, events: &[Event]) {
        let written: Vec<Written> =
            events.iter().map(|e| Written::new(e).expect("an event that can be written")).collect();
        // A queue that is choosing its leader refuses for a moment; a relay publishes again, and so does this.
        let mut tries = 0;
        while let Err(e) = self.shared.bus.publish(&written).await {
            tries += 1;
            assert!(matches!(e, BusError::Refused(_)) && tries < 200, "the bus takes the events: {e}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every event that has gone over the bus so far, in order; those of [`Self::publish`] too.
    pub async fn events(&self) -> Vec<Event> {
        self.tap.catch_up().await;
        self.tap.seen()
    }

    /// Waits for at least `n` events with this payload and answers all of them, in order.
    ///
    /// # Panics
    /// When they do not come, or one does not read.
    pub async fn published<P: Payload>(&self, n: usize) -> Vec<P> {
        let what = format!("{n} events {} on the bus", P::TYPE);
        wait_until(&what, async || {
            let found: Vec<P> = self
                .tap
                .seen()
                .iter()
                .filter(|e| e.kind == P::TYPE)
                .map(|e| e.read().expect("an event of its type"))
                .collect();
            (found.len() >= n).then_some(found)
        })
        .await
    }

    /// Waits until every event is out of the outboxes and handled by the consumers on this bed.
    ///
    /// # Panics
    /// With what is left, when it does not come to rest.
    pub async fn settle(&self) {
        let nodes = lock(&self.nodes).clone();
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            let left =
                drain::undone(&nodes, &self.tap, self.shared.clock.now_ms()).await.expect("a database");
            let Some(left) = left else { return };
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "the bed did not come to rest in {:?}: {left}", self.patience);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits no longer than this for the bed to settle: for tests of beds that cannot.
    pub fn impatient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// This test parks so many events on purpose; [`Self::finish`] wants exactly these.
    pub fn expect_parked(&self, events: usize) {
        *self.expected_parked.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    /// Ends the test: waits until everything has settled, stops the services, and checks that nothing was
    /// left in an outbox and nothing parked.
    ///
    /// # Panics
    /// When something was; its message says what.
    pub async fn finish(mut self) {
        // From here on every failure speaks for itself.
        self.finished = true;
        self.settle().await;
        let nodes = std::mem::take(&mut *lock(&self.nodes));
        for node in &nodes {
            node.stop().await;
        }
        let left = drain::filled_outbox(&nodes).await.expect("a database");
        assert!(left.is_none(), "after the end of the workers {}", left.unwrap_or_default());
        self.check_parked(&nodes).await;
        for node in &nodes {
            node.db.close().await.expect("a pool that closes");
        }
        self.tap.close().await;
        if let Some(postgres) = self.postgres.take() {
            tap::delete_queues(&mode::amqp_url(), std::slice::from_ref(&self.id)).await.expect("RabbitMQ");
            postgres.drop_bed().await.expect("PostgreSQL");
        }
    }

    async fn check_parked(&self, nodes: &[Arc<Node>]) {
        // A service that was started twice has one database.
        let databases: HashMap<_, _> = nodes.iter().map(|node| (node.name, &node.db)).collect();
        let mut parked = Vec::new();
        for db in databases.into_values() {
            parked.extend(drain::parked(db).await.expect("a database"));
        }
        let expected = *self.expected_parked.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            parked.len() == expected,
            "{} events were parked where {expected} were expected: {parked:#?}",
            parked.len()
        );
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        if !self.finished && !std::thread::panicking() {
            panic!(
                "a TestBed was dropped without finish().await: nobody looked whether outbox and inbox are done"
            );
        }
    }
}

fn lock(nodes: &Mutex<Vec<Arc<Node>>>) -> MutexGuard<'_, Vec<Arc<Node>>> {
    nodes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `t` and 12 hex digits: fit for a schema, a queue and a key.
pub(crate) fn new_id() -> String {
    seal::random_bytes::<6>().iter().fold("t".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

fn settings(mode: Mode, id: &str, folder: &std::path::Path) -> Settings {
    let secret = |kid: &str| Some(format!("{kid}{}", seal::random_token(32)).into());
    let mut settings = Settings {
        environment: "test".into(),
        listen: "127.0.0.1:0".into(),
        data_dir: folder.to_owned(),
        http_workers: 2,
        keys: KeySettings { token: secret("k1:"), envelope: secret("e1:"), internal: secret("") },
        admin_password: Some(ADMIN_PASSWORD.into()),
        ..Settings::default()
    };
    if mode == Mode::Distributed {
        settings.database = DatabaseSettings {
            url: Some(postgres::service_url()),
            schema: Some(format!("{id}_{{service}}")),
            max_connections: MAX_CONNECTIONS,
            ..DatabaseSettings::default()
        };
        settings.bus.url = Some(mode::amqp_url());
        settings.bus.prefix = Some(id.to_owned());
        settings.redis.url = Some(mode::redis_url());
        settings.redis.prefix = Some(id.to_owned());
    }
    settings
}

/// Warnings and errors go to the test's captured output; `RUST_LOG` asks for more.
fn log_to_test_output() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // The second bed of a process finds it set up.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

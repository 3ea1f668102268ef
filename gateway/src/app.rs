//! Wiring: what all workers share, what each worker has, the server around it.

use std::{convert::Infallible, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    body::BoxBody,
    dev::{Server, ServiceRequest},
    middleware::{Next, from_fn},
    web,
};
use contracts::{
    event::Payload,
    events::{PolicyChanged, TokenRevoked},
    policy::PolicySource,
    routes::Route,
};
use platform::{
    Service,
    clock::Clock,
    http::{
        caller::{CallerCheck, InternalKey},
        extractor_config, not_found_handler,
    },
    lifecycle::{Readiness, Turn, Worker},
    quota::Quota,
    run::{self, Configure},
    service::{Shared, StartError},
    settings::Settings,
    telemetry,
};
use tokio::sync::Notify;

use crate::{
    access::{POLL_EVERY, PolicyStore, TokenKeys},
    config::{self, TrustedProxies},
    console::Console,
    door::{Door, pass},
    forward::{Replicas, announce_failures, watch},
    health::Health,
    openapi::ApiDocs,
    routes::Table,
};

/// Time for the head of a connection's first request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than load balancers keep a quiet connection (60 s), so that they hang up and not we.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a connection is listened to after a refused body, so that the refusal is read.
const LINGER: Duration = Duration::from_secs(1);
/// Connections of one worker at the most.
const MAX_CONNECTIONS: usize = 10_000;
const BACKLOG: u32 = 4096;
/// Part of `lifecycle::GRACE`.
const SHUTDOWN_SECONDS: u64 = 20;
/// Events after which the policy is asked for at once.
const POLICY_EVENTS: [&str; 2] = [PolicyChanged::TYPE, TokenRevoked::TYPE];

/// What all workers share; nothing of it changes but the policy.
pub(crate) struct Gate {
    pub table: Table,
    pub keys: TokenKeys,
    pub policy: Arc<PolicyStore>,
    pub internal: InternalKey,
    pub trusted: TrustedProxies,
    pub requests_per_second: u64,
    /// Upload tokens of the public bucket need no login.
    pub anonymous_upload_token: bool,
    pub quota: Quota,
    pub clock: Clock,
    /// Empty: the services are mounted.
    pub upstreams: Vec<Arc<Replicas>>,
    pub console: Console,
    pub docs: ApiDocs,
    pub health: Health,
    /// Spans are exported.
    pub traces: bool,
}

/// The gateway, wired and ready to be served.
pub struct Gateway {
    gate: Arc<Gate>,
    configure: Vec<Configure>,
    workers: Vec<Worker>,
    http_workers: usize,
    readiness: Readiness,
}

/// A gateway that serves as soon as its server is polled; hand it to `lifecycle::run`.
pub struct Serving {
    pub server: Server,
    /// The policy's, and those of the mounted services.
    pub workers: Vec<Worker>,
    /// What it is bound to; the port is the real one when 0 was asked for.
    pub addresses: Vec<SocketAddr>,
    pub readiness: Readiness,
}

impl Gateway {
    /// `services`: those of this process; empty = they are reached at `settings.gateway.upstreams`.
    ///
    /// # Errors
    /// One sentence about the settings that cannot work.
    pub fn new(
        shared: &Shared,
        policy: Arc<dyn PolicySource>,
        services: Vec<Service>,
    ) -> Result<Self, StartError> {
        let routes = contracts::routes::with_supplier_entry(&shared.settings.supplier.path());
        Self::with_routes(shared, policy, services, routes)
    }

    /// The same with another route table, for tests.
    pub fn with_routes(
        shared: &Shared,
        policy: Arc<dyn PolicySource>,
        services: Vec<Service>,
        routes: impl IntoIterator<Item = &'static Route>,
    ) -> Result<Self, StartError> {
        let settings = &shared.settings;
        let internal = settings.keys.internal.as_ref();
        let internal = internal.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
        let upstreams = if services.is_empty() { config::upstreams(&settings.gateway)? } else { Vec::new() };
        let upstreams: Vec<_> = upstreams.into_iter().map(Replicas::new).collect();
        let table = Table::new(routes)?;
        let max_age_ms = config::policy_max_age_ms(&settings.gateway)?;
        let policy = Arc::new(PolicyStore::new(policy, shared.clock.clone(), table.routes(), max_age_ms));
        // Known from the start: an alert on their increase would miss the first failure otherwise.
        metrics::counter!("gateway_quota_failures_total").absolute(0);
        upstreams.iter().for_each(|upstream| announce_failures(upstream.service));
        let readiness = Readiness::default();
        let gate = Gate {
            keys: TokenKeys::new(settings),
            internal: InternalKey::new(internal),
            trusted: TrustedProxies::parse(&settings.gateway.trusted_proxies)?,
            requests_per_second: settings.gateway.requests_per_second,
            anonymous_upload_token: settings.storage.anonymous_upload_token,
            quota: shared.quota.clone(),
            clock: shared.clock.clone(),
            console: Console::load(settings.gateway.console_dir.as_deref())?,
            docs: ApiDocs::load(&settings.supplier.path())?,
            health: Health {
                readiness: readiness.clone(),
                databases: services.iter().map(|s| (s.name.as_str(), s.db.clone())).collect(),
                metrics: telemetry::metrics_handle(),
            },
            traces: settings.telemetry.otlp_endpoint.as_deref().is_some_and(|e| !e.trim().is_empty()),
            policy: Arc::clone(&policy),
            table,
            upstreams,
        };
        let mut workers = policy_workers(shared, policy);
        workers.extend(watch(&gate.upstreams)?);
        let configure = services.iter().map(|s| Arc::clone(&s.configure)).collect();
        workers.extend(services.into_iter().flat_map(|s| s.workers));
        Ok(Self { gate: Arc::new(gate), configure, workers, http_workers: run::workers(settings), readiness })
    }

    /// Asks for the policy now, as its worker does every second; `false` when auth-service did not answer.
    pub async fn refresh_policy(&self) -> bool {
        self.gate.policy.refresh().await
    }
}

/// What the gateway asks of the settings, one sentence for each problem; nothing is opened or reached but the
/// console's folder. `embedded`: the services are in this process.
pub fn check(settings: &Settings, embedded: bool) -> Vec<String> {
    let of_gateway = &settings.gateway;
    let upstreams = if embedded { Ok(()) } else { config::upstreams(of_gateway).map(|_| ()) };
    let all = [
        upstreams,
        config::policy_max_age_ms(of_gateway).map(|_| ()),
        TrustedProxies::parse(&of_gateway.trusted_proxies).map(|_| ()),
        Console::load(of_gateway.console_dir.as_deref()).map(|_| ()),
    ];
    all.into_iter().filter_map(|found| found.err().map(|e| e.to_string())).collect()
}

/// Keeps the policy fresh: every second, and at once when an event says so.
fn policy_workers(shared: &Shared, policy: Arc<PolicyStore>) -> Vec<Worker> {
    let wake = Arc::new(Notify::new());
    let refresh = move || {
        let policy = Arc::clone(&policy);
        async move {
            // A failure is told by the store, and the next try is due in a second all the same.
            policy.refresh().await;
            Ok::<_, Infallible>(Turn::Idle)
        }
    };
    let mut workers = vec![Worker::job("policy-refresh", POLL_EVERY, Some(Arc::clone(&wake)), refresh)];
    workers.extend(shared.bus.wake_on(&POLICY_EVENTS, wake));
    workers
}

/// Binds the gateway to `listen` (`address:port`, port 0 = any).
///
/// # Errors
/// The address cannot be bound.
pub fn serve(gateway: Gateway, listen: &str) -> io::Result<Serving> {
    let Gateway { gate, configure, workers, http_workers, readiness } = gateway;
    let server = HttpServer::new(move || {
        let door = Rc::new(Door::new(&gate));
        let check = CallerCheck { key: gate.internal.clone(), clock: gate.clock.clone() };
        let configure = configure.clone();
        App::new()
            .app_data(web::Data::new(check))
            .configure(extractor_config)
            .configure(move |cfg| configure.iter().for_each(|add| add(cfg)))
            .default_service(web::to(not_found_handler))
            .wrap(from_fn(move |req: ServiceRequest, next: Next<BoxBody>| pass(Rc::clone(&door), req, next)))
    })
    .workers(http_workers)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(LINGER)
    .keep_alive(KEEP_ALIVE)
    .max_connections(MAX_CONNECTIONS)
    .backlog(BACKLOG)
    .tcp_nodelay(true)
    // A client that has gone is not worked for.
    .h1_allow_half_closed(false)
    .disable_signals()
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .bind(listen)?;
    let addresses = server.addrs();
    Ok(Serving { server: server.run(), workers, addresses, readiness })
}
